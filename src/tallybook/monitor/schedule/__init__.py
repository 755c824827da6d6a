"""What starts a run every day: one file per scheduler, and the daemon behind `serve`."""
