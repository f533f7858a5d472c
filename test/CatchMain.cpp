// The main of every Catch2 program: compiled once, since it is Catch2's slow part.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
