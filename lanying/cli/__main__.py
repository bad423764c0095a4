"""``python -m lanying.cli``: the command ``lanying-cluster``."""

from lanying.cli.main import main

if __name__ == "__main__":
    main()
