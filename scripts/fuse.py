"""The same as `clipline fuse`."""

from pipeline.cli.script import run_command

if __name__ == "__main__":
    run_command("fuse")
