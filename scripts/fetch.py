"""The same as `clipline fetch`."""

from pipeline.cli.script import run_command

if __name__ == "__main__":
    run_command("fetch")
