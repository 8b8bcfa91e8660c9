"use strict";

// Unpacks what payload.py packed: zlib stream in base64, one array after the other, little-endian like every browser.

async function inflated(base64) {
  const bytes = Uint8Array.from(atob(base64.trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

const ARRAY_TYPES = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array };

function unpacked(buffer, manifest) {
  const arrays = {};
  for (const [name, entry] of Object.entries(manifest)) {
    const size = entry.shape.reduce((product, extent) => product * extent, 1);
    arrays[name] = { ...entry, values: new ARRAY_TYPES[entry.dtype](buffer, entry.offset, size) };
  }
  return arrays;
}

// One row of an array [row, time], or the whole of an array [time]; null stands for what is not known.
function rowOf(array, row = 0) {
  const length = array.shape[array.shape.length - 1];
  const values = array.values.subarray(row * length, (row + 1) * length);
  if (array.dtype === "uint16") {
    return Array.from(values, (value) => (value === 65535 ? null : value / array.scale));
  }
  return Array.from(values, (value) => (Number.isNaN(value) ? null : value));
}
