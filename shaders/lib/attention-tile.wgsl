// What the query rows of one workgroup of attention see. Keys count by their position in the sequence; the first of them may
// lie apart from the rest, where other sequences see them too.
struct Tile {
  first: u32,      // query row
  rows: u32,       // query rows, at least 1
  keys: u32,       // positions that any of the rows sees, at least 1
  horizon: u32,    // row i of the tile sees the positions up to horizon + i
  prefixRow: u32,  // where the key at position 0 lies
  prefix: u32,     // keys that lie there
  ownRow: u32,     // where the key at position `prefix` lies
  unused: u32,
}

// Row of keyValue that holds a position's key; the last one for positions behind the tile's keys.
fn rowOfKey(tile: Tile, position: u32) -> u32 {
  let at = min(position, tile.keys - 1u);
  return select(tile.ownRow + (at - tile.prefix), tile.prefixRow + at, at < tile.prefix);
}

// Positions that row i of the tile sees.
fn keysSeen(tile: Tile, i: u32) -> u32 {
  return min(tile.keys, tile.horizon + i + 1u);
}
