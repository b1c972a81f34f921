#![no_main]

maekin_pxe_fuzz::target!(http_range);
