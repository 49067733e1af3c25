(** RN is the nearest number. *)

From Coq Require Import ZArith Reals.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary.
From MergeAlgebra.Definitions Require Import Bits Rounding.
From MergeAlgebra.Lemmas Require Import RoundingLaws.

Open Scope Z_scope.

Lemma RN_is_to_nearest_even d x :
  RN d x = round radix2 (FLT_exp (least_exponent d) (precision d)) ZnearestE x
  /\ generic_format radix2 (FLT_exp (least_exponent d) (precision d)) (RN d x)
  /\ forall y : number d, (Rabs (RN d x - x) <= Rabs (value y - x))%R.
Proof.
  split; [reflexivity|]. split; [apply generic_format_round; [apply valid_exponents|apply valid_rnd_N]|].
  intros y.
  pose proof (round_N_pt radix2 (FLT_exp (least_exponent d) (precision d)) (fun x => negb (Z.even x)) x) as [_ nearest].
  apply nearest. apply (generic_format_B2R _ _ y).
Qed.
