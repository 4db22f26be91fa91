/* Written by edgekit {{edgekit}}. */
#include "texts.h"

const size_t text_count = {{text_count}};

const struct text texts[] = {
{{texts}}
};
