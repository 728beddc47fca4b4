//! Packets: building them from the language's words, reading them, masking, comparing and printing
//! them.
