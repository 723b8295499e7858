#!/bin/sh
# Greets, and shows the world it runs in.
echo "Hello, ${1:-you}! All that is here:" /*
