"""Small file systems, where the tests may mount them."""
import shutil
import subprocess


def mount(*arguments):
    return shutil.which("mount") is not None and subprocess.run(
        ["mount", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def mount_small(path, size):
    return mount("-t", "tmpfs", "-o", "size=" + size, "none", path)


def remount(path, options):
    return mount("-o", "remount," + options, path)


def unmount(path):
    subprocess.run(["umount", "-l", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
