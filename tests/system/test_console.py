"""The terminal and the shell, used as a person uses them: keys, mouse, screen; what is checked goes to the machine's
console or the disk, and the screenshots are there to be looked at."""
# SPDX-License-Identifier: MIT
import os
import re
import tempfile

import metal

PAPER, THUMB, SELECTED = (0x13, 0x18, 0x27), (0x4A, 0x53, 0x72), (0x3A, 0x44, 0x68)
CELL_WIDTH, CELL_HEIGHT, PADDING = 9, 20, 8
CONSOLE = " >$d\n"
# On the disk beforehand, as each character typed takes 50 ms.
FILES = {
    "/home/.profile": """d=/device/console
size() { echo size $COLUMNS $LINES > $d; }
show() { for i in 1 2 3 4; do dir /system; done; ls -l /; ps; mem; }
""",
    "/home/letters": "\u00e4\u20ac\u0416\u03bb \u250c\u2500\u2510\n",
    "/home/fill": """i=0; while cp /doom/freedoom1.wad /home/f$i; do i=$((i+1)); done 2>/device/console
cp /doom/freedoom1.wad /home/g; for i in 1 2 3 4 5 6 7 8; do cp /system/shell.pdb /home/h$i; done
clear; cp /doom/freedoom2.wad /home/i; type /apps/doom.exe > /home/j; echo filled > /device/console
""",
}

SCRIPT = r"""
mkdir -p /home && cd /home
echo one two > a.txt; echo three >> a.txt
cat < a.txt | sort | head -n 1
for f in *.txt; do echo "file $f"; done
i=0; while [ $i -lt 3 ]; do i=$((i + 1)); done; echo "i is $i"
if test -e a.txt && ! test -e b.txt; then echo yes; else echo no; fi
cp a.txt b.txt; mv b.txt c.txt; dir | cat; rm c.txt; ls *.txt
(cd /system; pwd); pwd
echo "out: $(echo inner | grep -c inner) $1 $#"
nonsense; echo "code $?"
cat missing 2>&1; echo "code $?"
type a.txt nothing 2> errors; cat errors
false || echo or; true && echo and
sleep 50 & kill %1; wait; echo "killed"
mkdir d d/e; rmdir d; rm -r d; test -d d || echo gone
echo "x" | { read v; echo "read $v"; }
cat > text 2>/dev/null < a.txt; wc -l text
du; ls --help | head -n 1
echo $(date +%Y | wc -c) end
kind() {
  case "$1" in
    *.txt|*.md) echo "$1: text" ;;
    [A-Z]*) echo "$1: large"; return 3 ;;
    "*") echo star ;;
    (?) ;;
    *) echo "$1: other $#"
  esac
}
kind a.txt; kind Big; echo "code $?"; kind big x; kind '*'; kind q; echo "code $? $1"
count() { if [ $1 -gt 0 ]; then count $(($1 - 1)); else kind Zero; fi; }
count 5 | sort; echo "$(kind in.md)"; return
while read v; do echo "got $v"; done <<END | sort -r
one $((1 + 1))
two 'x'
END
own() {
  local v w=3
  v=7
  cat <<-'END'
	literal $v
	END
  echo "$1 $v $w"
}
v=outer; own a; own b | cat; echo "$v$w"
name=archive.tar.gz; echo ${name%.*} ${name##*.}
mkdir -p tree/sub; echo deep > tree/sub/Leaf.TXT; find tree -name '*.txt'; find tree -type d; find none
echo ABCDEFGHIJKLMNOPqr | cat - | hexdump; edit x y; edit x < a.txt
"""
EXPECTED = """one two
file a.txt
i is 3
yes
a.txt
c.txt
a.txt
/system
/home
out: 1 first 2
shell: nonsense: unknown command; 'help' lists what there is
code 127
type: missing: not found
code 1
one two
three
type: nothing: not found
or
and
killed
rmdir: d: the directory is not empty
gone
read x
       2  text
shell: du: unknown command; 'help' lists what there is
dir [-l] [-r] [-a] [PATH...]
5 end
a.txt: text
Big: large
code 3
big: other 2
star
code 0 first
Zero: large
in.md: text
shell: return: there is no function around this
got two 'x'
got one 2
literal $v
a 7 3
literal $v
b 7 3
outer
archive.tar gz
tree/sub/Leaf.TXT
tree
tree/sub
find: none: not found
00000000  41 42 43 44 45 46 47 48  49 4a 4b 4c 4d 4e 4f 50  |ABCDEFGHIJKLMNOP|
00000010  71 72 0a                                          |qr.|
00000013
edit FILE
    changes a text in the terminal: ^S save  ^Q leave  ^F find  ^G next  ^Z undo  ^Y redo  ^K cut line  ^U put it back
edit: the input is no terminal
"""


def test_script():
    """The language and the small programs, in a script."""
    script = SCRIPT
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "script.sh")
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(script)
        result = metal.run("/system/shell.exe /script.sh first second", copy=[(path, "/script.sh")])
    assert result.output.replace("\r", "") == EXPECTED, result.output
    assert result.code == 2


class Terminal:
    """The one window on the desktop, found by its ground."""

    def __init__(self, machine):
        self.machine = machine
        machine.wait_for_log("win: the desktop is on the screen", 90)
        self.left, self.top = self.find(machine.wait_for_screen(self.find, 60, "terminal"))
        self.said("up", "echo up" + CONSOLE)

    @staticmethod
    def find(picture):
        """Where the window's ground begins; None: there is none."""
        return next(((x, y) for y in range(0, 700, 2) for x in range(picture.width - 300)
                     if all(picture.pixel(x + step, y + 1) == PAPER for step in (0, 1, 50, 200))), None)

    def said(self, text, keys):
        """Types and waits until the machine's console has one more line with the text."""
        count = self.lines(text)
        self.machine.type(keys)
        self.wait(text, count)

    def lines(self, text):
        return len(re.findall(text, self.machine.output.decode(errors="replace")))

    def wait(self, text, count):
        self.machine.wait_until(lambda: self.lines(text) > count, 60, f"output {text!r}")

    def cell(self, column, row):
        return (self.left + PADDING + column * CELL_WIDTH + 2, self.top + PADDING + row * CELL_HEIGHT + 8)


def write_files(folder):
    """FILES as `copy` of boot wants them."""
    for path, text in FILES.items():
        with open(os.path.join(folder, os.path.basename(path)), "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    return [(os.path.join(folder, os.path.basename(path)), path) for path in FILES]


@metal.limit(500)
def test_session():
    """History, completion, pipes, redirection, jobs, copy and paste, scroll-back, UTF-8, messages, a full disk."""
    with tempfile.TemporaryDirectory() as folder, \
            metal.boot(options=[("resolution", "1280x800"), ("run", "terminal.exe")], copy=write_files(folder)) as machine:
        terminal = Terminal(machine)
        said = terminal.said
        # History: the line before, and a search for it.
        said("again", "echo again" + CONSOLE)
        count = terminal.lines("again")
        machine.keys("up")
        machine.keys("ret")
        terminal.wait("again", count)
        machine.keys("ctrl", "r")
        said("up", "ho up\n")
        # Completion: a program, a path.
        said("MetalOS 0.1", "sysin\t" + CONSOLE)
        machine.type("echo the file > some-file\n")
        said("the file", "cat /ho\tsom\t" + CONSOLE)
        # Pipes, redirection, jobs, Control+C.
        said("\n5\r?\n", "echo -e '1\\n2\\n3\\n4\\n5' | sort -r | head -n 1" + CONSOLE)
        said("running +sleep 2", "sleep 2 & jobs" + CONSOLE)
        said("waited", "wait; echo waited" + CONSOLE)
        machine.type("sleep 1000\n")
        machine.wait_for_still_screen()
        machine.keys("ctrl", "c")
        said("code 130", "echo code $?" + CONSOLE)
        # Messages.
        said("nonsense: unknown command", "nonsense 2>$d\n")
        said("missing: not found", "cat missing 2>$d\n")
        said("does not belong here", "shell -c 'echo )' 2>$d\n")
        # The editor: what was changed is on the disk, and the screen is as it was.
        machine.type("edit new\none\nz")
        machine.keys("ctrl", "z")
        machine.type("two")
        machine.wait_for_still_screen()
        machine.shoot("editor")
        machine.keys("ctrl", "s")
        machine.keys("ctrl", "q")
        said("one\r?\ntwo", "cat new >$d\n")
        # UTF-8 on the screen, marked with the mouse, pasted.
        machine.type("clear; cat letters\n")
        machine.wait_for_still_screen()
        machine.drag(*terminal.cell(0, 0), *terminal.cell(3, 0))
        machine.wait_for_screen(lambda s: s.pixel(*terminal.cell(0, 0)) == SELECTED or
                                s.count(SELECTED) > 100, 20, "selection")
        machine.shoot("selected")
        machine.keys("ctrl", "shift", "c")
        machine.type("echo 'pasted ")
        machine.keys("ctrl", "shift", "v")
        said("pasted \u00e4\u20ac\u0416\u03bb\r?\n", "'" + CONSOLE)
        # The window's corner is dragged: programs know the new size; the title bar makes it large, and small again.
        said("size 96 28", "size\n")
        right, bottom = terminal.left + 96 * CELL_WIDTH + 2 * PADDING, terminal.top + 28 * CELL_HEIGHT + 2 * PADDING
        machine.drag(right + 1, bottom + 1, right + 1 - 10 * CELL_WIDTH, bottom + 1 - 3 * CELL_HEIGHT)
        machine.wait_for_screen(lambda s: s.pixel(right - 20, bottom - 20) != PAPER, 20, "smaller window")
        said("size 86 25", "size\n")
        machine.point_at(terminal.left + 300, terminal.top - 16)
        machine.do("double")
        machine.wait_for_screen(lambda s: s.count(PAPER) > 700000, 20, "large window")
        machine.type("ls -l /system; ps\n")
        machine.wait_for_still_screen()
        machine.shoot("large")
        said("size 140 35", "size\n")
        machine.point_at(300, 16)
        machine.do("double")
        machine.wait_for_screen(lambda s: s.pixel(5, 400) != PAPER, 20, "small window")
        said("size 86 25", "size\n")
        # Scroll-back: by keys and wheel, and back by typing.
        machine.type("clear; show\n")
        picture = machine.wait_for_still_screen()
        assert picture.count(THUMB) == 0
        machine.shoot("session")
        machine.keys("shift", "pgup")
        machine.wait_for_screen(lambda s: s.count(THUMB) > 20, 20, "scroll-back")
        machine.mouse_button("wheel-down", True)
        machine.mouse_button("wheel-down", False)
        machine.shoot("scrolled")
        said("back", "echo back" + CONSOLE)
        machine.wait_for_screen(lambda s: s.count(THUMB) == 0, 20, "end of the text")
        # A full disk is a message, for a program and for the shell; everything goes on.
        count = terminal.lines("the disk is full")
        machine.type(". fill\n")
        terminal.wait("the disk is full", count)
        terminal.wait("filled", 0)
        machine.wait_for_still_screen(60)
        machine.shoot("full")
        said("freed", "rm /home/f* && echo freed" + CONSOLE)
        # The end of the shell closes the window; the history is on the disk.
        machine.type("exit\n")
        machine.wait_for_screen(lambda s: s.count(PAPER) < 1000, 30, "closed window")


def test_com1():
    """console = com1: the same shell on the serial port."""
    with metal.boot(options=[("console", "com1"), ("run", "")]) as machine:
        machine.wait_until(lambda: "lists the commands" in machine.log, 90, "greeting")
        machine.send_serial(b"echo on com1 | sort\r")
        # The echo goes on behind the words, the answer does not.
        machine.wait_until(lambda: re.search(r"on com1\r?\n", machine.log), 30, "output")
        machine.send_serial(b"nonsense\r")
        machine.wait_until(lambda: "unknown command" in machine.log, 30, "message")
        machine.send_serial(b"shutdown\r")
        machine.wait_for_end(60)
