#![no_main]

maekin_pxe_fuzz::target!(proxy);
