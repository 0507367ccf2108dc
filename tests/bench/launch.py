"""`python -S launch.py RESULT OUTPUT COMMAND...`: run it and write what it used, as JSON.

A process of its own, because the peak memory that the kernel tells of a process is not below that of whoever started
it, and a benchmark is larger than what it measures.
"""

import json
import resource
import subprocess
import sys
import time

result, output, *command = sys.argv[1:]
with open(output, "w") as out:
    began = time.monotonic()
    code = subprocess.call(command, stdout=out, stderr=subprocess.STDOUT)
    seconds = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(result, "w") as out:
    told = {"code": code, "seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}
    json.dump(told, out)
