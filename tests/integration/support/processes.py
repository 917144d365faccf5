"""What /proc knows about processes, by id."""
import os


def processes_with(variable, value):
    """Ids of the processes whose environment has variable=value, those that wait to be reaped not counted."""
    wanted = ("%s=%s" % (variable, value)).encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/environ" % name, "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue  # gone, or another user's
    return found


def command_line(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def status_kb(pid, key):
    """A line of /proc/PID/status that is in kB, as bytes: VmRSS, VmHWM, ..."""
    with open("/proc/%d/status" % pid) as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    raise KeyError(key)


def rss_bytes(pid):
    return status_kb(pid, "VmRSS")


def peak_rss_bytes(pid):
    return status_kb(pid, "VmHWM")


def open_files(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def takes_signal(pid, number):
    """Whether the process blocks it, to wait for it, or catches it. False where it has ended."""
    try:
        with open("/proc/%d/status" % pid) as file:
            masks = dict(line.split(":", 1) for line in file if line.startswith(("SigBlk", "SigCgt")))
    except OSError:
        return False
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks.values())
