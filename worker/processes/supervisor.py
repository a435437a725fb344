"""Keeps one process for each slot running, and ends with all of them.

Decides when processes are started, stopped and killed; ``restarts`` decides whether one is started again.
Knows a process only by its exit code and the age of its health file. The invariants: a signal reaches each
process once, from here (they are in process groups of their own, not in the terminal's); no process outlives
``run``; the exit code is 0 only where all of them ended in order.
"""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from worker import signals, telemetry
from worker.errors import Fatal
from worker.health import BEAT_S, HealthFile
from worker.lifecycle import Failure, exit_code, in_background
from worker.processes.lines import LineTarget, copy_lines
from worker.processes.restarts import after_end, ended_as_asked, exit_code_for
from worker.processes.slots import Slot


class Program(NamedTuple):
    """What the slots run: how long it may take to stop, and how its failures are logged.

    ``distinguishes``: signals that mean different things to it, so that its processes get each of them as
    often as it comes. Of all others that stop they get SIGTERM, once. ``release`` is called when they have
    been asked to stop: what the supervisor holds open for them is not needed for another start.
    """

    stop_s: float = 10.0
    failure: Failure = telemetry.WorkerFailed
    distinguishes: frozenset[signal.Signals] = frozenset()
    release: Callable[[], None] | None = None


WORKER = Program()


class Supervisor:
    """Starts the slots' processes, and again when they end, until ``stop`` is set or one keeps failing."""

    def __init__(
        self,
        slots: Sequence[Slot],
        stop: asyncio.Event,
        health_file: Path | None = None,
        program: Program = WORKER,
    ) -> None:
        self._slots = slots
        self._stop = stop
        self._program = program
        self._stop_signal: signal.Signals | None = None
        self._health = HealthFile(health_file) if health_file is not None else None
        self._running: dict[int, Process] = {}
        self._exit_code = 0
        self._output, self._errors = LineTarget(sys.stdout.buffer), LineTarget(sys.stderr.buffer)

    async def run(self) -> int:
        """Run until ``stop`` is set; the exit code. Raises Fatal where a process cannot be started."""
        loop = asyncio.get_running_loop()
        keeping = [loop.create_task(self._keep(slot)) for slot in self._slots]
        try:
            async with in_background(self._stop, self._report_health()):
                await self._stop.wait()
                if self._stop_signal is None:  # a process was given up
                    self.end_by(signal.SIGTERM)
                if self._program.release is not None:
                    self._program.release()
                await asyncio.wait(keeping, timeout=self._program.stop_s)
        finally:
            self.forward(signal.SIGKILL)
        await asyncio.gather(*keeping)
        for file in self._health_files():
            file.remove()  # a killed process leaves it
        if self._health is not None:
            self._health.remove()
        return self._exit_code

    def end_by(self, number: signal.Signals) -> None:
        """Ask every process to end, as the program wants this signal to be passed on."""
        if number in self._program.distinguishes:
            self._stop_signal = number
        elif self._stop_signal is None:
            self._stop_signal = signal.SIGTERM
        else:
            return
        self.forward(self._stop_signal)

    def forward(self, number: signal.Signals) -> None:
        """Send the signal to every process."""
        for process in self._running.values():
            _signal(process, number)

    async def _keep(self, slot: Slot) -> None:
        """Run the slot's process, again and again. When this returns, the supervisor stops."""
        failures = 0
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                exit_code = await self._run_once(slot)
                ran_s = time.monotonic() - began
                if self._stop.is_set():
                    self._record_end(slot, exit_code, ran_s)
                    return
                failures, restart_in_s = after_end(exit_code, ran_s, failures)
                _log_exit(slot, exit_code, ran_s, restart_in_s)
                if restart_in_s is None:
                    self._give_up(slot, exit_code, failures)
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), restart_in_s)
        finally:
            self._stop.set()

    async def _run_once(self, slot: Slot) -> int:
        """Start the slot's process, copy what it writes, and wait for its end; the exit code."""
        try:
            process = await asyncio.create_subprocess_exec(
                *slot.command,
                env=slot.environment,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                process_group=0,
                pass_fds=slot.descriptors,
            )
        except OSError as error:
            raise Fatal(f"slot {slot.number}: no process can be started: {error.strerror}") from error
        self._running[slot.number] = process
        telemetry.emit(telemetry.ProcessStarted(slot=slot.number, pid=process.pid))
        if self._stop.is_set():  # set while it was being started
            _signal(process, self._stop_signal or signal.SIGTERM)
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            await asyncio.gather(
                copy_lines(process.stdout, self._output), copy_lines(process.stderr, self._errors)
            )
            return await process.wait()
        finally:
            _signal(process, signal.SIGKILL)  # where its output could not be copied; else it has ended
            del self._running[slot.number]

    def _record_end(self, slot: Slot, exit_code: int, ran_s: float) -> None:
        """Note how a process ended that was asked to."""
        if not ended_as_asked(exit_code):
            _log_exit(slot, exit_code, ran_s, None)
            self._exit_code = self._exit_code or 1

    def _give_up(self, slot: Slot, exit_code: int, failures: int) -> None:
        self._exit_code = self._exit_code or exit_code_for(exit_code)
        times = "once" if failures == 1 else f"{failures} times in a row"
        telemetry.emit(
            self._program.failure(
                reason=f"slot {slot.number} ended {times}, at last with exit code {exit_code}, and is "
                "not started again: the lines of this slot say why"
            )
        )

    async def _report_health(self) -> None:
        """Keep the supervisor's health file as old as the oldest of the slots'. Until cancelled."""
        while self._health is not None:
            with suppress(OSError):  # then it grows old, and the probe sees that
                self._health.follow(self._health_files())
            await asyncio.sleep(BEAT_S)

    def _health_files(self) -> list[HealthFile]:
        return [HealthFile(slot.health_file) for slot in self._slots if slot.health_file is not None]


def _signal(process: Process, number: signal.Signals) -> None:
    """Send the signal, unless the process has ended.

    Not by ``process.send_signal``: that may reap the process, and then its exit code is lost.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _log_exit(slot: Slot, exit_code: int, ran_s: float, restart_in_s: float | None) -> None:
    telemetry.emit(
        telemetry.ProcessExited(
            slot=slot.number, exit_code=exit_code, uptime_s=round(ran_s, 1), restart_in_s=restart_in_s
        )
    )


def run(slots: Sequence[Slot], health_file: Path | None = None, program: Program = WORKER) -> int:
    """Run all slots until asked to stop; the exit code. The log must have been set up."""

    async def until_signalled() -> int:
        stop = asyncio.Event()
        supervisor = Supervisor(slots, stop, health_file, program)
        signals.listen(
            stop,
            on_dump=supervisor.forward,
            on_stop=supervisor.end_by,
            on_reload=supervisor.forward if signal.SIGHUP in program.distinguishes else None,
        )
        return await supervisor.run()

    return exit_code(until_signalled, failure=program.failure)
