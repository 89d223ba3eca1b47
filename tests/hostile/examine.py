"""Compiles damaged variants of a model with little memory and time: ``python examine.py SEED FOLDER FIRST LAST``.

Prints the number of each variant before it is tried, so that the parent knows which one killed the
process, and a line for each that failed otherwise than by one of castiron's errors.
"""

import resource
import shutil
import signal
import sys
import traceback
from pathlib import Path

from mutations import damaged

from castiron import driver
from castiron.errors import CastironError

#: Address space beyond what the process has at the start, and seconds for one file.
MEMORY, SECONDS = 1 << 30, 30


def main(seed: Path, folder: Path, first: int, last: int) -> None:
    """Examine variants first … last-1."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    for number in range(first, last):
        print(number, flush=True)
        place = folder / "place"
        place.mkdir()
        path = damaged(seed, place, number)
        signal.alarm(SECONDS)
        try:
            _ = driver.compile(path).unit
        except CastironError as error:
            if not str(error).strip() or "\n\n" in str(error):
                print(f"FAILED {number}: no clear message: {error!r}", flush=True)
        except BaseException:
            print(f"FAILED {number}: {traceback.format_exc()}", flush=True)
        finally:
            signal.alarm(0)
            shutil.rmtree(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
