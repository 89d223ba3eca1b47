"""``python -m castiron``"""

from castiron.cli import main

main()
