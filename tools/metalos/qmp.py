"""A client of QEMU's machine protocol over a connected socket."""
# SPDX-License-Identifier: MIT
import json
import threading


class QmpError(Exception):
    """QEMU refused a command, or is gone."""


class Qmp:
    """One connection. Events go to on_event(name, data), on the reading thread."""

    def __init__(self, connection, on_event):
        self._file = connection.makefile("rwb")
        self._on_event = on_event
        self._reply = None
        self._closed = False
        self._changed = threading.Condition()
        self._one_command = threading.Lock()
        threading.Thread(target=self._read, daemon=True, name="qmp").start()
        self.command("qmp_capabilities")

    def _read(self):
        try:
            for line in self._file:
                message = json.loads(line)
                if "event" in message:
                    self._on_event(message["event"], message.get("data", {}))
                elif "return" in message or "error" in message:
                    with self._changed:
                        self._reply = message
                        self._changed.notify_all()
        except (OSError, ValueError):
            pass
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._on_event("CLOSED", {})

    def command(self, name, timeout=60, **arguments):
        """Runs a command and returns what it returns; underscores in argument names become hyphens."""
        arguments = {key.replace("_", "-"): value for key, value in arguments.items()}
        with self._one_command:
            with self._changed:
                self._reply = None
            try:
                self._file.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
                self._file.flush()
            except (OSError, ValueError) as error:
                raise QmpError("QEMU has ended") from error
            with self._changed:
                if not self._changed.wait_for(lambda: self._reply or self._closed, timeout):
                    raise QmpError(f"QEMU does not answer {name}")
                reply = self._reply
        if not reply:
            raise QmpError("QEMU has ended")
        if "error" in reply:
            raise QmpError(f"{name}: {reply['error'].get('desc')}")
        return reply["return"]
