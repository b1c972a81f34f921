#![no_main]

maekin_pxe_fuzz::target!(dhcp6);
