"""Workbooks updated in place: our cells are written anew, everything else in the file stays byte for byte.

A workbook is a zip of XML parts. `package` reads and writes the zip, `xml` finds places in a part without
changing how the rest of it is written, `styles` appends looks, `sheet` replaces cells, `update` puts a grid
where it belongs. No part is parsed into objects and written again: what is not known here would be lost.
"""

from tallybook.destinations.workbooks.update import Place, updated

__all__ = ["Place", "updated"]
