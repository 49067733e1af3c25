(** The reducer as an OCaml program. Integers become zarith's; booleans, options, pairs and lists OCaml's own. *)

From Coq Require Import Extraction ExtrOcamlBasic ExtrOcamlZBigInt BinNums.
From MergeAlgebra.Definitions Require Import Reducer.

(** As in ExtrOcamlZBigInt, but that telling odd from even takes no division. *)
Extract Inductive positive => "Big_int_Z.big_int"
 [ "(fun x -> Big_int_Z.succ_big_int (Big_int_Z.shift_left_big_int x 1))"
   "(fun x -> Big_int_Z.shift_left_big_int x 1)" "Big_int_Z.unit_big_int" ]
 "(fun f2p1 f2p f1 p ->
  if Big_int_Z.eq_big_int p Big_int_Z.unit_big_int then f1 () else
  let half = Big_int_Z.shift_right_big_int p 1 in
  if Big_int_Z.sign_big_int (Big_int_Z.and_big_int p Big_int_Z.unit_big_int) = 0 then f2p half else f2p1 half)".

Extraction Language OCaml.
Extraction "oracle/reducer.ml" reduce task_vector.
