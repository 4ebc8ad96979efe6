"""Peak memory of one fit over what the process held before, in a fresh process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys, threading, time, warnings
sys.path.insert(0, {folder!r})
warnings.simplefilter("ignore")
import multilevel as ml
from cases import two_million
frame = two_million({labels!r})()
small = frame.iloc[:500_000]
ml.mixedlm("y ~ x + (x | g)", small).fit().bse
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
before = peak = resident()
done = False
def watch():
    global peak
    while not done:
        peak = max(peak, resident())
        time.sleep(0.0005)
thread = threading.Thread(target=watch)
thread.start()
ml.mixedlm("y ~ x + (x | g)", frame).fit().bse
done = True
thread.join()
print(frame.memory_usage(deep=True).sum(), peak - before)
"""


def peak_memory(labels: str) -> tuple[float, float]:
    """Megabytes of the data frame, and of the fit's peak above it."""
    code = CODE.format(folder=str(Path(__file__).parent), labels=labels)
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    frame, peak = output.stdout.split()
    return float(frame) / 1e6, float(peak) / 1e6
