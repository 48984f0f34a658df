-- A mean with cubes and a covariate has seven sums.
ALTER TABLE points ADD COLUMN s7 DOUBLE PRECISION NOT NULL DEFAULT 0;
