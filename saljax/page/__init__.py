"""An evaluation as a page that opens from disk: `saljax report`."""
