"""The command line of `diffaug`: each file adds some commands, and imports only what the chosen one needs."""
