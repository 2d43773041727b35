// Time, height and width take turns, frequency by frequency, as long as height and width last; the rest is time's.
fn placeOf(token: u32) -> vec3u {
  return vec3u(positions[3u * token], positions[3u * token + 1u], positions[3u * token + 2u]);
}
fn anglesOf(place: vec3u, c: u32) -> Angles {
  let time = anglesAt(place.x, c);
  let height = anglesAt(place.y, c);
  let width = anglesAt(place.z, c);
  let i = vec4u(4u * c) + vec4u(0u, 1u, 2u, 3u);
  let isHeight = (i % 3u == vec4u(1u)) & (i < vec4u(params.heightEnd));
  let isWidth = (i % 3u == vec4u(2u)) & (i < vec4u(params.widthEnd));
  return Angles(
    select(select(time.cosine, height.cosine, isHeight), width.cosine, isWidth),
    select(select(time.sine, height.sine, isHeight), width.sine, isWidth),
  );
}
