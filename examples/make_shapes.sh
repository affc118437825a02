#!/bin/sh
# Makes a small data set to try training on: red and blue blobs on a noisy ground; only the red ones are wanted, so that
# a model that finds whatever stands out has something to learn. Portable pixmaps, written by awk alone.
#   make_shapes.sh FOLDER COUNT [SEED]     ->  FOLDER/images/NNN.ppm (128x96 RGB), FOLDER/masks/NNN.pgm (0 and 255)
set -eu
folder=$1 count=$2 seed=${3:-1}
mkdir -p "$folder/images" "$folder/masks"
awk -v folder="$folder" -v count="$count" -v seed="$seed" '
# Own random numbers (Park and Miller), so that every awk makes the same pictures.
function random() { state = (16807 * state) % 2147483647; return state / 2147483647 }
function blob(k, wanted) {
  cx[k] = 12 + 104 * random(); cy[k] = 12 + 72 * random()
  rx[k] = 8 + 12 * random(); ry[k] = 8 + 12 * random(); red[k] = wanted
}
BEGIN {
  state = 1000 + seed
  for (n = 1; n <= count; n++) {
    blobs = 2 + int(3 * random())
    for (k = 0; k < blobs; k++) blob(k, k % 2 == 0)
    light = 60 + 100 * random()
    image = sprintf("%s/images/%03d.ppm", folder, n); mask = sprintf("%s/masks/%03d.pgm", folder, n)
    print "P3 128 96 255" > image; print "P2 128 96 255" > mask
    for (y = 0; y < 96; y++) {
      colours = ""; levels = ""
      for (x = 0; x < 128; x++) {
        shade = light + 40 * random(); r = shade; g = shade; b = shade; inside = 0
        for (k = 0; k < blobs; k++) {
          dx = (x - cx[k]) / rx[k]; dy = (y - cy[k]) / ry[k]
          if (dx * dx + dy * dy > 1) continue
          inside = red[k]; r = red[k] ? 200 : 40; g = 50; b = red[k] ? 40 : 200
          r += 30 * random(); g += 30 * random(); b += 30 * random()
        }
        colours = colours int(r) " " int(g) " " int(b) " "; levels = levels (inside ? 255 : 0) " "
      }
      print colours > image; print levels > mask
    }
    close(image); close(mask)
  }
}'
