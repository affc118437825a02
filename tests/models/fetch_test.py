"""`sam2unet models fetch` from a server on this machine: with and without ranges, cut off, and what is no model."""
import hashlib
import http.server
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

PROGRAM, MODEL = sys.argv[1], Path(sys.argv[2])
CONTENT = MODEL.read_bytes()
HASH = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    ranges = True
    cut_at = None  # bytes after which the connection ends, once
    asked = []
    agents = set()

    def do_GET(self):
        first = 0
        wanted = self.headers.get("Range")
        Server.asked.append(wanted)
        Server.agents.add(self.headers.get("User-Agent"))
        if self.path.startswith("/moved/"):  # as releases and hubs do
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if self.path.startswith("/local/"):  # as nobody should
            self.send_response(302)
            self.send_header("Location", MODEL.resolve().as_uri())
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if self.path.startswith("/page"):
            body = b"<html>Are you sure?</html>"
        elif self.path.startswith("/m."):
            body = CONTENT
        else:
            return self.send_error(404)
        if wanted and Server.ranges:
            first = int(wanted.split("=")[1].split("-")[0])
            if first >= len(body):
                return self.send_error(416)
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        cut, Server.cut_at = Server.cut_at, None
        try:
            self.wfile.write(body[first:][:cut])
        except OSError:
            pass

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = folder / "models"
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        environment.update(SAM2UNET_MODELS=str(models))
        environment.pop("SAM2UNET_OFFLINE", None)

        def run(*arguments, **more):
            return subprocess.run([PROGRAM, "models", *arguments], env={**environment, **more}, capture_output=True, text=True)

        def expect(result, code, *texts):
            assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
            for text in texts:
                assert text in result.stdout + result.stderr, (text, result.stdout, result.stderr)

        offline = run("fetch", f"{base}/m.safetensors", SAM2UNET_OFFLINE="1")
        expect(offline, 1, "SAM2UNET_OFFLINE")
        assert Server.asked == []
        first = run("fetch", f"{base}/m.safetensors", "--sha256", HASH)
        if "needs libcurl" in first.stderr:
            print("SKIPPED: no libcurl")
            return 77
        expect(first, 0, "sam2unet-t-duts: ")
        got = models / "m.safetensors"
        assert got.read_bytes() == CONTENT
        expect(run("verify"), 0, HASH, "ok")
        expect(run("path", "sam2unet-t-duts"), 0, str(got))

        for ranges in (True, False):  # cut off, then continued, or begun again where the server cannot continue
            for file in models.iterdir():
                file.unlink()
            Server.ranges, Server.cut_at, Server.asked = ranges, 1_000_000, []
            expect(run("fetch", f"{base}/m.safetensors", "--sha256", HASH), 1, "m.safetensors")
            part = models / "m.safetensors.part"
            assert part.stat().st_size == 1_000_000 and not got.exists()
            expect(run("fetch", f"{base}/m.safetensors", "--sha256", HASH), 0)
            assert got.read_bytes() == CONTENT and not part.exists()
            assert Server.asked[1] == "bytes=1000000-", Server.asked

        got.unlink()
        expect(run("fetch", f"{base}/moved/m.safetensors", "--sha256", HASH), 0)
        assert got.read_bytes() == CONTENT

        got.rename(models / "m.safetensors.part")  # all of it is there, and the name is not
        Server.ranges = True
        expect(run("fetch", f"{base}/m.safetensors", "--sha256", HASH), 0)
        assert got.read_bytes() == CONTENT

        got.unlink()
        expect(run("fetch", f"{base}/local/m.safetensors", "--sha256", HASH), 1)  # a server names no file of ours
        assert not got.exists()
        (models / "m.safetensors.part").unlink(missing_ok=True)

        half = models / "none.pth.part"  # what is there of a file stays, for when the server has it again
        half.write_bytes(CONTENT[:1000])
        expect(run("fetch", f"{base}/none.pth"), 1, "404")
        assert half.read_bytes() == CONTENT[:1000]
        half.unlink()

        expect(run("fetch", f"{base}/page.pth"), 1, "no weight file")
        expect(run("fetch", f"{base}/none.pth"), 1, "404")
        expect(run("fetch", f"{base}/m.pth", "--sha256", "0" * 64), 1, "instead of 0000")
        assert sorted(f.name for f in models.iterdir() if f.suffix == ".part") in ([], ["none.pth.part"])
        expect(run("fetch", "sam2unet-cod"), 1, "by hand", "SAM2-UNet-COD.pth")
        expect(run("fetch"), 2, "needs a name")
        expect(run("list"), 0, "sam2-l", "here", "by hand")
        expect(run("list", "--json"), 0, '"data_licence"')
        assert Server.agents == {"sam2unet"}, Server.agents  # who asks is told
    print("ok")
    return 0


sys.exit(main())
