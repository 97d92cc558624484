"""SIP as a room speaks it: OPTIONS by a datagram of our own, calls by sipp, sound by sockets of our own."""

import math
import random
import re
import select
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from gantry_rig.ports import free_port, free_range

ANSWER = 0.7
"""Seconds that an answer may take before another try, from another port, is made."""
RATE = 8000
FRAME = 160


@dataclass(frozen=True)
class Place:
    """Where the box takes SIP as seen from here, and where we are as seen from the box."""

    host: str
    port: int
    ours: str


def options(place: Place) -> str | None:
    """Asks once; the status line, or nothing. A port that was refused may stay so: each try has its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(ANSWER)
        udp.connect((place.host, place.port))
        local, number = udp.getsockname()[1], random.randrange(1 << 30)
        request = (
            f"OPTIONS sip:{place.host}:{place.port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {place.ours}:{local};rport;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:rig@{place.ours}>;tag={number}\r\nTo: <sip:{place.host}>\r\n"
            f"Call-ID: {number}@rig\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
        try:
            udp.send(request.encode())
            return udp.recv(4096).split(b"\r\n", 1)[0].decode()
        except OSError:
            return None


class Sound:
    """One end of a call's sound (G.711 µ-law over RTP): sends a tone, keeps what it hears."""

    def __init__(self, hz: float | None) -> None:
        self.hz = hz
        self.port = free_range(2).start
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("0.0.0.0", self.port))
        self.heard: list[int] = []
        self.packets = 0
        self.peer: tuple[str, int] | None = None
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self._run, name="sound", daemon=True)

    def __enter__(self) -> "Sound":
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.ends.set()
        self.thread.join()
        self.socket.close()

    def send_to(self, peer: tuple[str, int]) -> None:
        """The other end is known: it is sent to from now on."""
        self.peer = peer

    def _run(self) -> None:
        begun, sent, ssrc = time.monotonic(), 0, random.randrange(1 << 32)
        while not self.ends.is_set():
            due = begun + sent * FRAME / RATE
            wait = due - time.monotonic()
            if wait > 0:
                ready, _, _ = select.select([self.socket], [], [], wait)
                if ready:
                    self._take(self.socket.recv(2048))
                continue
            if self.peer is not None:
                header = struct.pack("!BBHII", 0x80, 0, sent & 0xFFFF, sent * FRAME & 0xFFFFFFFF, ssrc)
                self.socket.sendto(header + self._frame(sent), self.peer)
            sent += 1

    def _frame(self, number: int) -> bytes:
        if self.hz is None:
            return b"\xff" * FRAME
        first, step = number * FRAME, 2 * math.pi * self.hz / RATE
        return bytes(encode(int(8000 * math.sin(step * (first + i)))) for i in range(FRAME))

    def _take(self, packet: bytes) -> None:
        if len(packet) > 12 and packet[0] >> 6 == 2 and packet[1] & 0x7F == 0:
            self.packets += 1
            self.heard.extend(map(decode, packet[12:]))
            del self.heard[: -10 * RATE]

    def level(self, hz: float) -> float:
        """How much of the last half second's power is at `hz`, 0 to 1."""
        block = self.heard[-RATE // 2 :]
        power = sum(sample * sample for sample in block)
        if len(block) < RATE // 2 or power < len(block) * 100**2:
            return 0.0
        step = 2 * math.pi * hz / RATE
        real = sum(sample * math.cos(step * i) for i, sample in enumerate(block))
        imaginary = sum(sample * math.sin(step * i) for i, sample in enumerate(block))
        return 2 * (real**2 + imaginary**2) / (len(block) * power)


def encode(sample: int) -> int:
    """A sample as µ-law (ITU-T G.711)."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


def decode(byte: int) -> int:
    """µ-law as a sample."""
    byte = ~byte & 0xFF
    magnitude = ((byte & 0x0F) << 3) + 132 << (byte >> 4 & 7)
    return 132 - magnitude if byte & 0x80 else magnitude - 132


SCENARIO = """<?xml version="1.0" encoding="ISO-8859-1"?>
<scenario name="a room's call with sound">
<send retrans="500"><![CDATA[
INVITE sip:{dialled} SIP/2.0
Via: SIP/2.0/UDP {ours}:[local_port];rport;branch=[branch]
From: "{name}" <sip:{name}@{ours}:[local_port]>;tag=[pid]s[call_number]
To: <sip:{dialled}>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:{name}@{ours}:[local_port]>
Max-Forwards: 70
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS
Content-Type: application/sdp
Content-Length: [len]

v=0
o=rig 1 1 IN IP4 {ours}
s=-
c=IN IP4 {ours}
t=0 0
m=audio {sound} RTP/AVP 0
a=rtpmap:0 PCMU/8000
]]></send>
<recv response="100" optional="true"/><recv response="180" optional="true"/><recv response="183" optional="true"/>
<recv response="200" rrs="true"><action>
<ereg regexp="m=audio ([0-9]+)" search_in="msg" assign_to="all,port"/>
<log message="sound to [$port]"/>
</action></recv>
<send><![CDATA[
ACK sip:{dialled} SIP/2.0
Via: SIP/2.0/UDP {ours}:[local_port];rport;branch=[branch]
[routes]
From: "{name}" <sip:{name}@{ours}:[local_port]>;tag=[pid]s[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv request="BYE" timeout="{seconds}000" ontimeout="ours"/>
<send next="end"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
<label id="ours"/>
<send retrans="500"><![CDATA[
BYE sip:{dialled} SIP/2.0
Via: SIP/2.0/UDP {ours}:[local_port];rport;branch=[branch]
[routes]
From: "{name}" <sip:{name}@{ours}:[local_port]>;tag=[pid]s[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
<label id="end"/>
<Reference variables="all"/>
</scenario>
"""


class Call:
    """A room's call by sipp. Its sound is sent and heard by [`Sound`], because sipp can't tell what it hears."""

    def __init__(self, place: Place, dialled: str, name: str, sound: Sound, folder: Path, seconds: int) -> None:
        self.place, self.sound, self.name, self.folder = place, sound, name, folder
        self.log = folder / f"{name}.log"
        self.log.unlink(missing_ok=True)
        script = folder / f"{name}.xml"
        filled = {"dialled": dialled, "ours": place.ours, "name": name, "sound": sound.port, "seconds": seconds}
        script.write_text(SCENARIO.format(**filled))
        command = ["sipp", f"{place.host}:{place.port}", "-sf", script, "-m", "1", "-l", "1", "-p", str(free_port())]
        command += ["-nostdin", "-trace_logs", "-log_file", self.log]
        command += ["-trace_msg", "-message_file", folder / f"{name}.sip", "-message_overwrite", "true"]
        self.output = (folder / f"{name}.out").open("w")
        self.process = subprocess.Popen(command, cwd=folder, stdout=self.output, stderr=subprocess.STDOUT)

    def answered(self) -> bool:
        """Whether the call was taken; its sound goes out from then on."""
        if self.process.poll() is not None:
            raise AssertionError(f"sipp ended with {self.process.returncode}; it saw:\n{self.messages()}")
        match = re.search(r"sound to *([0-9]+)", self.log.read_text()) if self.log.exists() else None
        if match is None:
            return False
        self.sound.send_to((self.place.host, int(match[1])))
        return True

    def messages(self) -> str:
        """The end of what was said in SIP."""
        seen = self.folder / f"{self.name}.sip"
        return seen.read_text(errors="replace")[-3000:] if seen.exists() else "nothing"

    def finish(self, limit: float) -> None:
        """Waits until the script is through: hung up, and that answered."""
        code = self.process.wait(limit)
        assert code == 0, f"sipp ended with {code}; it saw:\n{self.messages()}"

    def close(self) -> None:
        """Ends the script, however far it is."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        self.output.close()
