"""A stranger with `make sdk`'s folder and the guide in it: everything the guide promises is done as it says."""
# SPDX-License-Identifier: MIT
import os
import re
import shutil
import subprocess
import tempfile

import metal

SOURCES = os.path.join(metal.ROOT, "tests", "sdk")
WARNINGS = ["-Wall", "-Wextra", "-Werror"]


def make_sdk(folder):
    """The SDK in a folder whose name has a blank."""
    sdk = os.path.join(folder, "the sdk")
    subprocess.run([os.path.join(metal.ROOT, "tools", "mksdk"), "all", sdk, os.path.join(metal.BUILD, "sdk", "metalos"), metal.BUILD], check=True)
    return sdk


def examples(sdk):
    """The whole programs in the guide: from the first #include to the end of main."""
    with open(os.path.join(sdk, "README.md"), encoding="utf-8") as file:
        found = re.findall(r"^    #include(?:.*\n)*?    int main\(.*\n(?:.*\n)*?    }$", file.read(), re.MULTILINE)
    return [re.sub(r"^    ", "", text, flags=re.MULTILINE) + "\n" for text in found]


def compile_stranger(sdk, folder):
    tool = os.path.join(sdk, "bin", "metalos-cc")
    for command in (["-DBUILD_SHAPES", "-shared", "-o", "shapes.dll", "shapes.c"], ["-o", "stranger.exe", "stranger.c", "-L.", "-lshapes"]):
        subprocess.run([tool, "-g", *WARNINGS, *command], check=True, cwd=folder)


def run(sdk, folder, *arguments):
    return subprocess.run([os.path.join(sdk, "bin", "metalos-run"), "--timeout", "100", *arguments], capture_output=True, text=True, check=False, cwd=folder)


def test_guide():
    """The guide's programs and the template; a program with a library, files, threads and a window."""
    with tempfile.TemporaryDirectory() as folder:
        sdk = make_sdk(folder)
        for name in os.listdir(SOURCES):
            shutil.copy(os.path.join(SOURCES, name), folder)
        compile_stranger(sdk, folder)
        programs = examples(sdk)
        assert len(programs) == 2
        for number, text in enumerate(programs):
            with open(os.path.join(folder, f"example{number}.c"), "w", encoding="utf-8") as file:
                file.write(text)
            subprocess.run([os.path.join(sdk, "bin", "metalos-cc"), "-g", *WARNINGS, "-o", f"example{number}.exe", f"example{number}.c"], check=True, cwd=folder)
        template = shutil.copytree(os.path.join(sdk, "template"), os.path.join(folder, "template"))
        subprocess.run(["make", f"SDK={sdk}"], check=True, cwd=template, stdout=subprocess.DEVNULL)
        assert os.path.exists(os.path.join(template, "hello.exe"))
        result = run(sdk, folder, "--copy", "example0.exe=/apps/hello.exe", "--copy", "example1.exe=/apps/second.exe", "--exec", "hello.exe", "--exec", "second.exe",
                     "--fetch", "/note.txt=note.txt")
        assert (result.returncode, result.stdout) == (0, "Hello from MetalOS\n"), result
        with open(os.path.join(folder, "note.txt"), encoding="utf-8") as file:
            assert re.fullmatch(r"written by thread \d+\n", file.read())
        copy = [(os.path.join(folder, name), "/apps/" + name) for name in ("stranger.exe", "shapes.dll")]
        with metal.boot(execute=["stranger.exe one window"], copy=copy) as machine:
            machine.wait_until(lambda: b"window:" in machine.output, 60, "the window's line")
            machine.wait_for_screen(lambda picture: picture.count((0xFF, 0x80, 0x00)) > 20000, 30, "circle")
            machine.shoot("window")
            machine.keys("esc")
            machine.wait_for_end(30)
            assert machine.exit_code == 0
            assert machine.output.decode().splitlines() == [
                "2 arguments, the last is window", "/no/such: No such file or directory", "lines 100, missing -1", "total 7998000",
                "circles 1, window: StatusSuccess: success"], machine.output


def test_debugger():
    """metalos-debug: breakpoints by name and line, in the program, a thread and a library; stacks, variables, steps."""
    if not shutil.which("lldb-19"):
        raise metal.Skip("lldb-19 is not installed (tools/setup debug)")
    with tempfile.TemporaryDirectory() as folder:
        sdk = make_sdk(folder)
        for name in os.listdir(SOURCES):
            shutil.copy(os.path.join(SOURCES, name), folder)
        compile_stranger(sdk, folder)
        with open(os.path.join(folder, "stranger.c"), encoding="utf-8") as file:
            line = 1 + next(number for number, text in enumerate(file) if "a line to stop at" in text)
        commands = ["bt", "step", "step", "next", "b CountLines", "continue", "frame variable path", "step", "step", "finish", "breakpoint delete --force", f"b stranger.c:{line}",
                    "continue", "p *work", "frame variable i", "bt", "breakpoint delete --force", "b DrawCircle", "continue", "bt",
                    "frame variable radius color", "finish", "p ShapesDrawn"]
        options = [word for command in commands for word in ("-o", command)]
        result = subprocess.run([os.path.join(sdk, "bin", "metalos-debug"), "--batch", *options, "stranger.exe", "window"], capture_output=True, text=True,
                                check=False, cwd=folder, timeout=150, stdin=subprocess.DEVNULL)
        text = result.stdout
        for wanted in (r"stop reason = one-shot breakpoint 1\n +frame #0: .*stranger.exe`main\(argc=2, argv=.*\) at stranger.c:\d+",
                       r"frame #1: .* mosrt.dll`RunMain at start.c:\d+",
                       r"step in\n +frame #0: .*`UseFiles at stranger.c:\d+",  # past printf, into the program's own function
                       r'\(const char \*\) path = 0x[0-9a-f]+ "/',
                       r"step in\n +frame #0: .*`CountLines\(",  # past fopen
                       r"Return value: \(int\) \$\d+ = ",
                       rf"frame #0: .*SumUp\(argument=.*\) at stranger.c:{line}",
                       r"\(Work\) +\(From = (\d+), To = \d+, Sum = 0\)\n.*\n\(int\) i = \1\n",  # whichever thread is first
                       r"frame #1: .* mosrt.dll`PthreadMain",
                       r"frame #0: .*shapes.dll`DrawCircle\(.* at shapes.c:\d+",
                       r"frame #1: .*stranger.exe`OpenWindow at stranger.c:\d+",
                       r"\(int\) radius = 80", r"\(unsigned int\) color = 16744448",
                       r"\(int\) 1\n"):
            assert re.search(wanted, text), f"{wanted}\n{text}\n{result.stderr}"
