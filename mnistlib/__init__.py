"""The work behind the six notebooks: plain functions, each module one role."""
