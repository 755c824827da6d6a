"""An .xlsx file as a package of XML parts: sheets, cells, styles, tables and what people attached to them."""
