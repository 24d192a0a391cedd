"""Writes a container image of one layer, made of the machine's static busybox: the pause image and a shell for test pods."""

import hashlib
import io
import json
import platform
import sys
import tarfile

APPLETS = ("cat", "httpd", "ls", "nc", "seq", "sh", "sleep", "tail", "true", "wget")
FOLDERS = {"dev": 0o755, "etc": 0o755, "proc": 0o755, "sys": 0o755, "tmp": 0o1777}
TAGS = ["localhost/pause:1", "localhost/busybox:1"]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def layer() -> bytes:
    """The file system as a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add("/bin/busybox", "bin/busybox")
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name, mode in FOLDERS.items():
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            archive.addfile(folder)
    return buffer.getvalue()


def write(path: str) -> None:
    """Writes the image as `docker save` does: a layer, its configuration, a manifest."""
    files = {"layer.tar": layer()}
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sleep", "2147483647"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(files["layer.tar"]).hexdigest()]},
    }
    files["config.json"] = json.dumps(config).encode()
    files["manifest.json"] = json.dumps([{"Config": "config.json", "RepoTags": TAGS, "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    write(sys.argv[1])
