"""The same as `clipline benchmark`."""

from pipeline.cli.script import run_command

if __name__ == "__main__":
    run_command("benchmark")
