"""python -m computecloud: the command line of an installation."""

from computecloud.cli.app import main

main()
