#!/usr/bin/env python3
"""The delivery engine beside Alertmanager: kill -9, an outage, ten thousand messages.

    tests/load/side_by_side.py [--bench PATH] [--kills N] [--messages N] [--only STEP]

Both send to the same receiver, which lives in this process; so CPU times are the sender's alone
(user and system, from /proc). Alertmanager is Debian's package `prometheus-alertmanager`; without
it the script says so and measures verdictd only. verdictd is `benches/delivery.rs`: the daemon's
own worker on its own store, without experiments. `--bench` names that program if it is built
already; otherwise it is built with `cargo bench --no-run`.

Every alert is a group of its own, told at once (`group_wait: 0s`). Prometheus sends alerts that
are still firing again, which is what Alertmanager relies on after a crash; each kill is therefore
done twice, with and without that. The figures of docs/delivery.md were made by this script.
"""

import argparse
import collections
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ALERTMANAGER = "/usr/bin/prometheus-alertmanager"
ROOT = pathlib.Path(__file__).resolve().parents[2]


class Receiver:
    """Counts what it is sent by id; answers as it is told."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answer = lambda: (200, {})
        self.hold_secs = 0.0
        self.reset()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                with outer.lock:
                    outer.connections += 1

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.keep(self.headers.get("webhook-id"), body)
                status, headers = outer.answer()
                if outer.hold_secs:
                    time.sleep(outer.hold_secs)
                outer.count(status, self.headers.get("webhook-id"), body)
                try:
                    self.send_response_only(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", "2")
                    self.end_headers()
                    self.wfile.write(b"ok")
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self):
        with self.lock:
            self.came = 0
            self.connections = 0
            self.taken = collections.Counter()
            self.refused = 0
            self.first_at = {}
            self.bodies = collections.defaultdict(set)

    def keep(self, _webhook_id, _body):
        with self.lock:
            self.came += 1

    def count(self, status, webhook_id, body):
        key = webhook_id or ",".join(
            sorted(alert["labels"]["n"] for alert in json.loads(body)["alerts"])
        )
        with self.lock:
            if status >= 300:
                self.refused += 1
                return
            self.taken[key] += 1
            self.first_at.setdefault(key, time.time())
            self.bodies[key].add(hash(body))


def wait_until(is_so, secs, step=0.02):
    end = time.time() + secs
    while time.time() < end:
        if is_so():
            return True
        time.sleep(step)
    return False


def cpu_secs(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Alertmanager:
    """Debian's Alertmanager in a folder of its own."""

    name = "Alertmanager"

    def __init__(self, folder, receiver):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        (self.folder / "am.yml").write_text(
            "route: {receiver: sink, group_by: [n], group_wait: 0s, group_interval: 5m,"
            " repeat_interval: 4h}\n"
            "receivers: [{name: sink, webhook_configs: [{send_resolved: false,"
            f" url: '{receiver.url}'}}]}}]\n"
        )
        self.log = open(self.folder / "am.log", "ab")
        self.child = None

    def start(self):
        self.child = subprocess.Popen(
            [
                ALERTMANAGER,
                f"--config.file={self.folder}/am.yml",
                f"--storage.path={self.folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--cluster.listen-address=",
            ],
            stdout=self.log,
            stderr=self.log,
        )
        assert wait_until(self.is_ready, 30), "Alertmanager does not start"

    def is_ready(self):
        try:
            return urllib.request.urlopen(self.at("/-/ready"), timeout=1).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def at(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def tell(self, numbers):
        alerts = [{"labels": {"alertname": "bench", "n": str(number)}} for number in numbers]
        request = urllib.request.Request(
            self.at("/api/v2/alerts"),
            json.dumps(alerts).encode(),
            {"content-type": "application/json"},
        )
        assert urllib.request.urlopen(request, timeout=30).status == 200

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    # What a source of alerts does by itself.
    resend = tell


class Verdictd:
    """The worker of the daemon on a store of its own."""

    name = "verdictd"

    def __init__(self, folder, receiver, bench):
        self.folder = pathlib.Path(folder)
        self.bench = bench
        self.url = receiver.url.removesuffix("/hook")
        self.store = self.folder / "store.db"
        self.told = 0
        self.log = open(self.folder / "verdictd.log", "ab")
        self.child = None

    def start(self):
        self.child = subprocess.Popen(
            [self.bench, "run", str(self.store), self.url], stdout=self.log, stderr=self.log
        )

    def tell(self, numbers):
        count = max(numbers) + 1
        subprocess.run([self.bench, "seed", str(self.store), str(count)], check=True)

    def resend(self, _numbers):
        pass

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


def kills(make, receiver, count, resend):
    """Kills the sender while the receiver has the message and holds its answer."""
    receiver.reset()
    lost = doubled = 0
    with tempfile.TemporaryDirectory() as folder:
        sender = make(folder)
        if sender.name == "Alertmanager":
            sender.start()
        for number in range(count):
            receiver.hold_secs = 0.3
            before, told = receiver.came, dict(receiver.taken)
            sender.tell([number])
            if sender.name == "verdictd":
                sender.start()
            assert wait_until(lambda: receiver.came > before, 30), "nothing was sent"
            sender.kill()
            time.sleep(0.4)
            receiver.hold_secs = 0.0
            sender.start()
            if resend:
                sender.resend([number])
            settled(receiver, sender)
            new = {key: n - told.get(key, 0) for key, n in receiver.taken.items()}
            new = {key: n for key, n in new.items() if n}
            lost += not new
            doubled += any(n > 1 for n in new.values())
            if sender.name == "verdictd":
                sender.child.wait(30)
        if sender.child.poll() is None:
            sender.kill()
    return {"kills": count, "lost": lost, "duplicates": doubled}


def kills_before(make, receiver, count, resend):
    """Kills the sender after it accepted a message and before anybody could get it."""
    receiver.reset()
    lost = doubled = 0
    with tempfile.TemporaryDirectory() as folder:
        sender = make(folder)
        if sender.name == "Alertmanager":
            sender.start()
        for number in range(count):
            told = dict(receiver.taken)
            # The receiver is away, so that acceptance and sending cannot race.
            receiver.answer = lambda: (503, {})
            sender.tell([number])
            if sender.name == "verdictd":
                sender.start()
                wait_until(lambda: receiver.refused > 0, 10)
            sender.kill()
            receiver.answer = lambda: (200, {})
            sender.start()
            if resend:
                sender.resend([number])
            settled(receiver, sender, 8)
            new = {key: n - told.get(key, 0) for key, n in receiver.taken.items()}
            new = {key: n for key, n in new.items() if n}
            lost += not new
            doubled += any(n > 1 for n in new.values())
            receiver.refused = 0
        if sender.child.poll() is None:
            sender.kill()
    return {"kills": count, "lost": lost, "duplicates": doubled}


def settled(receiver, sender, secs=3.0):
    """Waits until nothing more comes."""
    if sender.name == "verdictd":
        wait_until(lambda: sender.child.poll() is not None, 30)
        return
    end = time.time() + secs
    seen = -1
    while time.time() < end:
        time.sleep(1.0)
        if receiver.came == seen and sum(receiver.taken.values()):
            return
        seen = receiver.came


def outage(make, receiver, messages, patience):
    """503 for 20 s, then 429 with Retry-After 5 until 5 s have passed."""
    receiver.reset()
    began = time.time()
    asked = []

    def answer():
        now = time.time()
        if now - began < 20:
            return 503, {}
        if not asked:
            asked.append(now)
        return (429, {"retry-after": "5"}) if now - asked[0] < 4.9 else (200, {})

    receiver.answer = answer
    with tempfile.TemporaryDirectory() as folder:
        sender = make(folder)
        if sender.name == "Alertmanager":
            sender.start()
            sender.tell(range(messages))
        else:
            sender.tell(range(messages))
            sender.start()
        resent = began
        while len(receiver.taken) < messages and time.time() - began < patience:
            time.sleep(0.2)
            if time.time() - resent > 60:
                sender.resend(range(messages))
                resent = time.time()
        took = time.time() - began
        time.sleep(2)
        sender.kill()
    receiver.answer = lambda: (200, {})
    return {
        "messages": messages,
        "arrived": len(receiver.taken),
        "duplicates": sum(receiver.taken.values()) - len(receiver.taken),
        "refused_requests": receiver.refused,
        "all_after_secs": round(took, 1) if len(receiver.taken) == messages else None,
    }


def load(make, receiver, messages):
    """As many messages at once; CPU of the sender until the last one arrived."""
    receiver.reset()
    with tempfile.TemporaryDirectory() as folder:
        sender = make(folder)
        if sender.name == "Alertmanager":
            sender.start()
            cpu, began = cpu_secs(sender.child.pid), time.time()
            for start in range(0, messages, 500):
                sender.tell(range(start, min(start + 500, messages)))
        else:
            sender.tell(range(messages))
            began = time.time()
            sender.start()
            cpu = 0.0
        used = cpu
        while len(receiver.taken) < messages and time.time() - began < 300:
            time.sleep(0.02)
            if sender.child.poll() is None:
                used = cpu_secs(sender.child.pid)
        took = max(receiver.first_at.values()) - began
        if sender.child.poll() is None:
            used = cpu_secs(sender.child.pid)
            sender.kill()
        waits = sorted(at - began for at in receiver.first_at.values())
    return {
        "messages": len(receiver.taken),
        "requests": receiver.came,
        "connections": receiver.connections,
        "cpu_secs": round(used - cpu, 2),
        "wall_secs": round(took, 2),
        "per_cpu_second": round(len(receiver.taken) / max(used - cpu, 0.01)),
        "p50_secs": round(waits[len(waits) // 2], 3),
        "p99_secs": round(waits[int(len(waits) * 0.99)], 3),
    }


def built():
    out = subprocess.run(
        ["cargo", "bench", "--no-run", "--bench", "delivery", "--message-format", "json"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    for line in out.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "delivery" and message.get("executable"):
            return message["executable"]
    sys.exit("cargo built no bench named delivery")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--patience", type=int, default=420)
    parser.add_argument("--only", choices=["kill", "outage", "load"])
    args = parser.parse_args()
    bench = args.bench or built()
    receiver = Receiver()
    makers = [lambda folder: Verdictd(folder, receiver, bench)]
    if shutil.which(ALERTMANAGER):
        version = subprocess.run([ALERTMANAGER, "--version"], capture_output=True, text=True)
        print((version.stdout or version.stderr).splitlines()[0])
        makers.append(lambda folder: Alertmanager(folder, receiver))
    else:
        print("skipped: Alertmanager (Debian's package prometheus-alertmanager is not installed)")

    def say(what, make, result):
        with tempfile.TemporaryDirectory() as folder:
            name = make(folder).name
        print(f"{what:<34} {name:<13} {json.dumps(result)}", flush=True)

    for make in makers:
        if args.only in (None, "kill"):
            for resend in (False, True):
                how = "source repeats" if resend else "said once"
                result = kills(make, receiver, args.kills, resend)
                say(f"kill -9 mid-request, {how}", make, result)
                result = kills_before(make, receiver, args.kills, resend)
                say(f"kill -9 before it, {how}", make, result)
        if args.only in (None, "load"):
            say("load", make, load(make, receiver, args.messages))
        if args.only in (None, "outage"):
            say("503 for 20 s, then 429", make, outage(make, receiver, 100, args.patience))


if __name__ == "__main__":
    main()
