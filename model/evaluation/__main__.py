"""Evaluates a model and compares it with its results.json: `python -m model.evaluation --help`."""

from .reproduce import main

if __name__ == "__main__":
    main()
