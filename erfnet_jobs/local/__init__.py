"""The servers of one machine: its embedded Redis and its worker in the background, brought up and taken down."""
