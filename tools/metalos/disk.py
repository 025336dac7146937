"""A raw disk image as a folder of files: mtools at the offset of its EFI system partition."""
# SPDX-License-Identifier: MIT
import os
import subprocess

from . import gpt


class DiskError(Exception):
    """A file could not be moved in or out of an image; the text says why."""


def copy_sparse(source, target, offset=0):
    """Copies a file from offset to its end, leaving out its holes."""
    with open(source, "rb") as src, open(target, "wb") as out:
        size = os.fstat(src.fileno()).st_size
        os.truncate(out.fileno(), size - offset)
        position = offset
        while position < size:
            try:
                position = os.lseek(src.fileno(), position, os.SEEK_DATA)
            except OSError:  # nothing but a hole is left
                break
            end = os.lseek(src.fileno(), position, os.SEEK_HOLE)
            os.lseek(out.fileno(), position - offset, os.SEEK_SET)
            os.lseek(src.fileno(), position, os.SEEK_SET)
            while position < end:
                position += os.sendfile(out.fileno(), src.fileno(), None, end - position)


class Disk:
    """The FAT volume of the raw image at path. No machine may be running on it."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        with open(path, "rb") as file:
            offset = gpt.esp_offset(file)
        if offset is None:
            raise DiskError(f"{path} has no EFI system partition")
        self._offset = offset
        self._volume = f"{self.path}@@{offset}"

    def _mtool(self, *command, **options):
        environment = dict(os.environ, MTOOLS_SKIP_CHECK="1", LC_ALL="C.UTF-8")
        result = subprocess.run([command[0], "-i", self._volume, *command[1:]], env=environment,
                                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
                                stdout=subprocess.PIPE, **options)
        return result.returncode, result.stdout, result.stderr.decode(errors="replace").strip()

    def _checked(self, *command):
        code, output, error = self._mtool(*command)
        if code:
            raise DiskError(f"{self.path}: {error or command[0] + ' failed'}")
        return output

    @staticmethod
    def _name(guest):
        return "::/" + guest.replace("\\", "/").lstrip("/")

    def put(self, host, guest):
        """Copies a file or folder into the image, making the folders on the way and replacing a file."""
        parts = guest.replace("\\", "/").strip("/").split("/")
        for depth in range(1, len(parts)):
            self._mtool("mmd", "-D", "s", self._name("/".join(parts[:depth])))  # fails where it exists
        self._checked("mcopy", "-s", "-D", "o", "-o", host, self._name(guest))

    def get(self, guest, host):
        """Copies a file or folder out of the image, replacing the host's."""
        self._checked("mcopy", "-s", "-n", self._name(guest), host)

    def read(self, guest):
        """The bytes of a file."""
        return self._checked("mtype", self._name(guest))

    def exists(self, guest):
        return self._mtool("mdir", "-b", self._name(guest))[0] == 0

    def list(self, guest):
        """The names in a folder."""
        lines = self._checked("mdir", "-b", self._name(guest)).decode().splitlines()
        return [line.rstrip("/").rpartition("/")[2] for line in lines]

    def write(self, guest, data, scratch):
        """Makes the file `guest` of these bytes; scratch is a host file name to use meanwhile."""
        with open(scratch, "wb") as out:
            out.write(data)
        self.put(scratch, guest)
        os.unlink(scratch)

    def delete(self, guest):
        self._checked("mdel", self._name(guest))

    def check(self, scratch):
        """Raises a DiskError with fsck.fat's words unless the volume is clean. scratch: a host file name
        to use meanwhile."""
        copy_sparse(self.path, scratch, self._offset)
        try:
            result = subprocess.run(["/sbin/fsck.fat", "-n", scratch], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, check=False)
        finally:
            os.unlink(scratch)
        if result.returncode:
            raise DiskError(f"{self.path}: {result.stdout.decode(errors='replace')}")
