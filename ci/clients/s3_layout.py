"""The plug-in's layout page, followed: images that the real plug-in wrote, fetched and restored with the page's own words."""

import json
import os
import re
import subprocess
import sys
from urllib.parse import quote, urlsplit

from s3 import owner, ready
from s3_awscli import aws, folder, read
from sim import PASSWORD, USER

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PLUGIN_TESTS = os.path.join(ROOT, "driver", "plugin", "tests", "c")
LSU = "layout"
MIB = 1 << 20
# Date and policy of every image of the plug-in's C host.
DATE, POLICY = 1588173008, "policy one"


def page():
    """The command that fetches a bucket, as words, and the script that restores an image, both as the page has them."""
    with open(os.path.join(ROOT, "driver", "image-store", "LAYOUT.md"), encoding="utf-8") as source:
        text = source.read()
    command = re.search(r"`aws (s3 [^`]*)`", text).group(1).split()
    return command, re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)


def key_of(name):
    """The key of an image's state object, by the page's rule for names."""
    encoded = [quote(part.encode(), safe="").replace("~", "%7E") for part in (name, POLICY)]
    return f"image/{encoded[0]}/{DATE}/{encoded[1]}"


def pattern(seed, start, length):
    """Bytes of a stream of the plug-in's C host; see `pattern` there."""
    mask, words = (1 << 64) - 1, bytearray()
    base = seed * 0x9E3779B97F4A7C15
    for word in range(start // 8, (start + length + 7) // 8):
        mixed = (word + base) * 0xBF58476D1CE4E5B9 & mask
        words += (mixed ^ mixed >> 29).to_bytes(8, "little")
    return bytes(words[start % 8 : start % 8 + length])


class Host:
    """A process that does one call of the plug-in at a time: the C host of the plug-in's tests."""

    def __init__(self, sim):
        root = folder(sim, "host")
        program, keys, config = (os.path.join(root, name) for name in ("host", "key.toml", "vast-ost.toml"))
        sources = [name for name in sorted(os.listdir(PLUGIN_TESTS)) if name.endswith(".c") and name != "sdk_host.c"]
        compiler = [os.environ.get("CC", "cc"), "-std=gnu11", "-O1", "-rdynamic", "-o", program]
        compiler += ["-I", os.path.join(ROOT, "driver", "ost-abi", "include")]
        compiler += [os.path.join(PLUGIN_TESTS, name) for name in sources] + ["-ldl", "-lpthread"]
        subprocess.run(compiler, check=True)
        access, secret = owner(sim)
        with open(os.open(keys, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as sink:
            sink.write(f'access_key = "{access}"\nsecret_key = "{secret}"\n')
        with open(config, "w", encoding="utf-8") as sink:
            sink.write(f'[server.vast1]\nvms = "{sim.vms}"\nca_file = "{sim.ca}"\nkey_file = "{keys}"\n')
            sink.write(f's3 = "http"\ns3_port = {urlsplit(sim.s3[0]).port}\nvip_pool = "vippool-1"\n')
        command = [program, "steps", os.environ["OST_PLUGIN"], "VastData:vast1", USER, PASSWORD, LSU]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env={**os.environ, "VAST_OST_CONFIG": config, "HOST_QUIET": "1"}, **pipes)
        self.answered("open_server")

    def answered(self, step):
        for line in self.process.stdout:
            if line.startswith("code="):
                assert line.split()[0] == "code=0", f"{step}: {line}"
                return
        raise AssertionError(f"{step}: the host ended: {self.process.stderr.read()[-400:]}")

    def do(self, step):
        """One step that must succeed: NAME SLOT TEXT NUMBER..., see `steps.c`."""
        self.process.stdin.write(step + "\n")
        self.process.stdin.flush()
        self.answered(step)

    def write(self, name, parts):
        """A complete image of parts; each part is (seed, length), or (name, offset, length) of another image."""
        self.do(f"create 0 {name}")
        at = 0
        for part in parts:
            if len(part) == 2:
                self.do(f"write 0 - {part[0]} {at} {part[1]}")
            else:
                self.do(f"include 0 {part[0]} {part[1]} {part[2]} {at}")
            at += part[-1]
        self.do("meta 0 beside_the_image")
        self.do("close 0 - 1")

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(60)
        assert code == 0, f"exit code {code}: {self.process.stderr.read()[-400:]}"


LARGE, SMALL, MIXED = "host/large+ü", "small", "mixed"
IMAGES = {
    SMALL: [(2, 1024)],
    LARGE: [(1, 21 * MIB + 512)],
    MIXED: [
        (3, 512),
        (LARGE, 1_000_001, 7_333_333),
        (SMALL, 1, 1022),
        (LARGE, 4 * MIB - 1, 2),
        (LARGE, 21 * MIB + 511, 1),
        (LARGE, 0, 17 * MIB),
    ],
}


def check_images_are_restored_by_hand(sim):
    """The page's command and script restore a small image, one of many segments, and one of parts of both"""
    ready(sim, LSU)
    host, expected = Host(sim), {}
    for name, parts in IMAGES.items():
        host.write(name, parts)
        expected[name] = b""
        for part in parts:
            source = pattern(part[0], len(expected[name]), part[1]) if len(part) == 2 else expected[part[0]]
            expected[name] += source if len(part) == 2 else source[part[1] : part[1] + part[2]]
    host.end()

    fetch, script = page()
    root = folder(sim, "restored")
    place = {"s3://LSU": f"s3://{LSU}", "bucket": os.path.join(root, "bucket")}
    aws(sim, *(place.pop(word, word) for word in fetch), text="download:")
    assert not place, f"the page's command names no {list(place)}: {fetch}"
    extents = {}
    for name, content in expected.items():
        command = [sys.executable, "-c", script, key_of(name)]
        done = subprocess.run(command, cwd=root, capture_output=True, timeout=120)
        assert done.returncode == 0, f"{name}: {done.stderr.decode()[-400:]}"
        assert done.stdout == content, f"{name}: {len(done.stdout)} bytes in place of {len(content)}, or others"
        line = read(os.path.join(root, "bucket"))[key_of(name)].split(b"\n", 1)[0]
        extents[name] = json.loads(line)["extents"]
    segments = sum(extent[2] for extent in extents[LARGE])
    assert extents[SMALL] == [] and segments > 3 and len(extents[MIXED]) > 3, f"too easy: {extents}"
