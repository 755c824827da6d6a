"""Windows Task Scheduler: a task as XML. Tallybook runs in the Windows Subsystem for Linux."""

from __future__ import annotations

import subprocess
from xml.sax.saxutils import escape

from tallybook.core import SchedulerKind
from tallybook.monitor.schedule.job import Job, ScheduleFile, secrets_in_dotenv


class Windows:
    kind = SchedulerKind(name="windows", title="Windows Task Scheduler")

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """One task, registered by a line of PowerShell."""
        name = f"{job.slug}.xml"
        register = f"Register-ScheduledTask -TaskName {job.slug} -Xml (Get-Content -Raw -Encoding UTF8 {name})"
        lines = [
            job.summary,
            f"In PowerShell, in the folder of this file: {register}",
            "It runs while you are logged on. A missed run starts once you are logged on again.",
            f"A task has no time zone: {job.utc_time.in_words(job.zone)}",
            *(text.strip() for text in secrets_in_dotenv(job, "The task")),
        ]
        return (ScheduleFile(name, _task(job, lines)),)


def command_line(job: Job) -> tuple[str, str]:
    """The program and its arguments, quoted for Windows."""
    distribution = ("--distribution", job.wsl) if job.wsl else ()
    return "wsl.exe", subprocess.list2cmdline([*distribution, "--exec", *job.run_command])


def _task(job: Job, lines: list[str]) -> str:
    program, arguments = command_line(job)
    # A comment must not contain `--`.
    text = "\n".join(f"  {escape(line)}" for line in lines).replace("--", "- -")
    return f"""\
<?xml version="1.0"?>
<!--
{text}
-->
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>{escape(f"Collects the metrics of {' '.join(job.book.split())}, every day")}</Description>
  </RegistrationInfo>
  <Triggers>
    <CalendarTrigger>
      <StartBoundary>{job.today}T{job.utc_time.utc:%H:%M}:00Z</StartBoundary>
      <Enabled>true</Enabled>
      <ScheduleByDay>
        <DaysInterval>1</DaysInterval>
      </ScheduleByDay>
    </CalendarTrigger>
  </Triggers>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT6H</ExecutionTimeLimit>
  </Settings>
  <Actions>
    <Exec>
      <Command>{escape(program)}</Command>
      <Arguments>{escape(arguments)}</Arguments>
    </Exec>
  </Actions>
</Task>
"""
