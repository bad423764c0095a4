"""``python -m lanying.admin.console``: the command ``lanying-admin``."""

from lanying.admin.console.cli import main

if __name__ == "__main__":
    main()
