"""tools/mkimage: what it writes is right, and the same each time."""
# SPDX-License-Identifier: MIT
import filecmp
import os
import random
import shutil
import subprocess
import tempfile

import metal
from metalos import disk, gpt, msf

MKIMAGE = os.path.join(metal.ROOT, "tools", "mkimage")


def make_image(folder, name, files, *options):
    """An image (and its .vhdx) of {guest path: bytes}; returns mkimage's result and the path."""
    pairs = []
    for number, (guest, data) in enumerate(files.items()):
        host = os.path.join(folder, f"file{number}")
        with open(host, "wb") as out:
            out.write(data)
        pairs.append(f"{host}={guest}")
    path = os.path.join(folder, name)
    result = subprocess.run([MKIMAGE, "-o", path, "--vhdx", path + ".vhdx", *options, *pairs], check=False,
                            stderr=subprocess.PIPE, text=True)
    return result, path


def sample_files():
    noise = random.Random(1)
    files = {f"/many/a long name, number {n}.txt": noise.randbytes(n * 97) for n in range(300)}
    files |= {"/EFI/BOOT/BOOTX64.EFI": noise.randbytes(70001), "/empty": b"", "/Mixed.Case": b"x",
              "/deep/er/and/deeper/é and 漢字.text": b"name in UTF-16", "/many/A.B.C": b"dots",
              "/" + "n" * 251 + ".txt": b"longest name", "/exact": bytes(range(256)) * 16}
    return files


def test_every_file_reads_back():
    with tempfile.TemporaryDirectory() as folder:
        files = sample_files()
        result, path = make_image(folder, "disk.img", files)
        assert result.returncode == 0, result.stderr
        volume = disk.Disk(path)
        for guest, data in files.items():
            if guest.isascii():
                assert volume.read(guest) == data, guest


def test_volume_is_clean_for_fsck():
    with tempfile.TemporaryDirectory() as folder:
        _, path = make_image(folder, "disk.img", sample_files())
        volume = os.path.join(folder, "volume")
        with open(path, "rb") as source, open(volume, "wb") as out:
            offset = gpt.esp_offset(source)
            source.seek(offset)
            shutil.copyfileobj(source, out, 1 << 20)
            out.truncate(gpt.partition_sectors(512 << 20) * gpt.SECTOR)
        check = subprocess.run(["/sbin/fsck.fat", "-n", volume], check=False, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        assert check.returncode == 0, check.stdout


def test_same_files_give_the_same_bytes():
    with tempfile.TemporaryDirectory() as folder:
        _, first = make_image(folder, "first.img", sample_files())
        _, second = make_image(folder, "second.img", sample_files())
        for ending in ("", ".vhdx"):
            assert filecmp.cmp(first + ending, second + ending, shallow=False), "images differ" + ending


def test_vhdx_has_the_disk():
    if not shutil.which("qemu-img"):
        raise metal.Skip("qemu-img is not installed")
    with tempfile.TemporaryDirectory() as folder:
        _, path = make_image(folder, "disk.img", sample_files())
        subprocess.run(["qemu-img", "check", "-q", path + ".vhdx"], check=True)
        subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "vhdx", path, path + ".vhdx"], check=True)


def test_pdbs_are_packed():
    """A program's PDB is on the disk with every stream, and without the padding between them."""
    program = os.path.join(metal.BUILD, "apps", "hello.exe")
    with open(os.path.splitext(program)[0] + ".pdb", "rb") as file:
        original = file.read()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "disk.img")
        subprocess.run([MKIMAGE, "-o", path, "--pdb", program + "=/hello.exe"], check=True)
        packed = disk.Disk(path).read("/hello.pdb")
        assert msf.read(packed) == msf.read(original) and len(packed) < len(original) // 2, (len(packed), len(original))
        with open(os.path.join(folder, "hello.pdb"), "wb") as file:
            file.write(packed)
        summary = [subprocess.run(["llvm-pdbutil-19", "dump", "--modules", "--publics", "--l", pdb], check=True,
                                  capture_output=True).stdout for pdb in (file.name, os.path.splitext(program)[0] + ".pdb")]
        assert summary[0] == summary[1]
    # The directory of many streams takes more than a list of one small block names.
    streams = [bytes(n % 7) for n in range(40000)] + [None, b"last"]
    assert msf.read(msf.write(streams)) == streams
    assert msf.pack(b"not a PDB") == b"not a PDB"


def test_errors_are_sentences():
    with tempfile.TemporaryDirectory() as folder:
        for files, options, word in (({"/a:b": b""}, (), "cannot be a name"),
                                     ({"/a": b"", "/A": b""}, (), "two files"),
                                     ({"/a": b"", "/a/b": b""}, (), "passes through a file"),
                                     ({"/" + "n" * 256: b""}, (), "cannot be a name"),
                                     ({"/a": b""}, ("--size", "64"), "too small"),
                                     ({"/a": bytes(300 << 20)}, ("--size", "280"), "do not fit")):
            result, path = make_image(folder, "bad.img", files, *options)
            assert result.returncode == 1 and word in result.stderr, (word, result.stderr)
            assert not os.path.exists(path)
