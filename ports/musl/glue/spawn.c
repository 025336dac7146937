// posix_spawn, popen and waitpid: starting programs the POSIX way, over RtSpawn.
//
// A program gets three standard handles and no other descriptors, so file actions matter only where
// they end at 0, 1 or 2. Attributes are about signals and groups, which there are none of.
// SPDX-License-Identifier: MIT
#include "glue.h"
#include "libc.h"
#include "stdio_impl.h"
#include "syscall.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../src/process/fdop.h"
#undef malloc
#undef free

typedef struct Plan {
    int Standard[3]; // the parent's descriptors that become 0, 1, 2; -1: none
    int Opened[16];  // to be closed afterwards
    int OpenedCount;
} Plan;

static int OpenFor(Plan *plan, const struct fdop *action)
{
    if (plan->OpenedCount == (int)(sizeof plan->Opened / sizeof *plan->Opened))
        return EMFILE;
    int descriptor = open(action->path, action->oflag, action->mode);
    if (descriptor < 0)
        return errno;
    plan->Opened[plan->OpenedCount++] = descriptor;
    if (action->fd < 3)
        plan->Standard[action->fd] = descriptor;
    return 0;
}

static int Carry(Plan *plan, const struct fdop *action)
{
    switch (action->cmd) {
    case FDOP_CLOSE:
        if (action->fd < 3)
            plan->Standard[action->fd] = -1;
        return 0;
    case FDOP_DUP2:
        if (action->fd < 3)
            plan->Standard[action->fd] =
                action->srcfd < 3 ? plan->Standard[action->srcfd] : action->srcfd;
        return 0;
    case FDOP_OPEN:
        return OpenFor(plan, action);
    }
    return ENOSYS; // another directory
}

// One argument as the other side takes it apart (docs/system-calls.md, "Command lines").
static char *Quote(char *at, const char *argument)
{
    *at++ = '"';
    for (;; argument++) {
        size_t slashes = 0;
        while (*argument == '\\') {
            slashes++;
            argument++;
        }
        bool special = *argument == '"' || !*argument;
        for (size_t i = 0; i < slashes * (special ? 2 : 1); i++)
            *at++ = '\\';
        if (!*argument)
            break;
        if (*argument == '"')
            *at++ = '\\';
        *at++ = *argument;
    }
    *at++ = '"';
    return at;
}

static char *MakeCommandLine(const char *program, char *const arguments[])
{
    size_t size = 2 * strlen(program) + 4;
    for (int i = 0; arguments[i]; i++)
        size += 2 * strlen(arguments[i]) + 4;
    char *line = malloc(size), *at = line;
    if (!line)
        return 0;
    at = Quote(at, program);
    for (int i = 1; arguments[0] && arguments[i]; i++) {
        *at++ = ' ';
        at = Quote(at, arguments[i]);
    }
    *at = 0;
    return line;
}

int posix_spawn(pid_t *restrict result, const char *restrict program,
                const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *restrict attributes, char *const arguments[restrict],
                char *const environment[restrict])
{
    Plan plan = {.Standard = {0, 1, 2}};
    int error = 0, pid = 0;
    struct fdop *action = actions ? actions->__actions : 0;
    while (action && action->next) // the list begins with the last one
        action = action->next;
    for (; action && !error; action = action->prev)
        error = Carry(&plan, action);
    char *line = error ? 0 : MakeCommandLine(program, arguments);
    if (!error)
        error = line ? RtSpawn(line, environment, plan.Standard, &pid) : ENOMEM;
    free(line);
    while (plan.OpenedCount)
        close(plan.Opened[--plan.OpenedCount]);
    if (!error && result)
        *result = pid;
    return error;
}

// CreateProcess looks for a name without a path as posix_spawnp wants it.
int posix_spawnp(pid_t *restrict result, const char *restrict program,
                 const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *restrict attributes, char *const arguments[restrict],
                 char *const environment[restrict])
{
    return posix_spawn(result, program, actions, attributes, arguments, environment);
}

FILE *popen(const char *command, const char *mode)
{
    int ends[2], pid, standard[3] = {0, 1, 2};
    bool reading = *mode == 'r';
    if (!reading && *mode != 'w') {
        errno = EINVAL;
        return 0;
    }
    if (pipe(ends))
        return 0;
    standard[reading] = ends[reading];
    FILE *file = fdopen(ends[!reading], mode);
    int error = file ? RtSpawn(command, 0, standard, &pid) : errno;
    close(ends[reading]);
    if (!error) {
        file->pipe_pid = pid;
        return file;
    }
    if (file)
        fclose(file);
    else
        close(ends[!reading]);
    errno = error;
    return 0;
}

int pclose(FILE *file)
{
    int status, pid = file->pipe_pid;
    fclose(file);
    return waitpid(pid, &status, 0) < 0 ? -1 : status;
}
