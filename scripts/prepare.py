"""The same as `clipline prepare`."""

from pipeline.cli.script import run_command

if __name__ == "__main__":
    run_command("prepare")
