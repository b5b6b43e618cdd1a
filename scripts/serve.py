"""The same as `clipline serve`."""

from pipeline.cli.script import run_command

if __name__ == "__main__":
    run_command("serve")
