"""The same as `clipline app`."""

from pipeline.cli.script import run_command

if __name__ == "__main__":
    run_command("app")
