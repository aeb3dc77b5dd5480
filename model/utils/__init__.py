"""What every other part stands on: errors, whole files, pictures, and facts about the machine.

Nothing in here knows of networks or training.
"""
