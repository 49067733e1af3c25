(** Dots in the fixed tree: on bits they are the rounded sums of exact products. *)

From Coq Require Import ZArith Reals Lia Lra List Permutation.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode FixedTree Dots.
From MergeAlgebra.Lemmas Require Import FloatsNumbers FloatsSums FloatsRounding FloatsMachine FixedTrees FixedTreeLeaves.
Import ListNotations.
Open Scope R_scope.

Theorem products_on_bits_are_exact (x y : number F32) : finite x = true -> finite y = true ->
  finite (multiply64 (widen x) (widen y)) = true /\
  Bits.value (multiply64 (widen x) (widen y)) = Bits.value x * Bits.value y.
Proof.
intros Fx Fy. destruct (widened_is_exact x Fx) as [Vx Wx]. destruct (widened_is_exact y Fy) as [Vy Wy].
destruct (value_is_number F32 x) as [Nx Bx]. destruct (value_is_number F32 y) as [Ny By].
destruct (multiply64_is (widen x) (widen y) Wx Wy) as [M _]. rewrite Vx, Vy, product_is_exact in M by assumption.
apply M. rewrite Rabs_mult. apply Rlt_le_trans with (2^128 * 2^128).
- apply Rmult_le_0_lt_compat; try apply Rabs_pos; assumption.
- rewrite <- bpow_plus. apply bpow_le. lia.
Qed.

Lemma product_bound (x y : number F32) : Rabs (Bits.value x * Bits.value y) <= 2^256.
Proof.
rewrite Rabs_mult. change 256%Z with (128 + 128)%Z. rewrite bpow_plus.
apply Rmult_le_compat; try apply Rabs_pos; apply Rlt_le; exact (proj2 (value_is_number F32 _)).
Qed.

Lemma machine_sum_is_evaluated t : machine_sum t = evaluated add64 t.
Proof. induction t; simpl; congruence. Qed.

Lemma sum64_is_evaluated t : sum64 id t = evaluated add_R64 t.
Proof.
induction t as [x | a IHa b IHb]; cbn [sum64 evaluated]; [reflexivity |]. unfold add_R64 at 1. now rewrite IHa, IHb.
Qed.

Lemma fixed_tree_map {A B} (f : A -> B) zero xs : map_tree f (fixed_tree zero xs) = fixed_tree (f zero) (map f xs).
Proof.
unfold fixed_tree. rewrite (f_tree_sum (map_tree f) Node Node (Leaf zero) (Leaf (f zero))) by reflexivity.
f_equal. now rewrite !map_map.
Qed.

(** The zeros that fill up the last chunk are fewer than a chunk. *)
Lemma leaves_number {A} (zero : A) xs : xs <> [] ->
  (length (leaves (fixed_tree zero xs)) <= length xs + chunk_size)%nat.
Proof.
intros some. rewrite (Permutation_length (leaves_of_fixed_tree zero xs some)), app_length. unfold filling.
rewrite repeat_length. pose proof (chunks_cover (length xs)). lia.
Qed.

Theorem dots_on_bits_are_rounded_sums pairs :
  Forall finite_pair pairs -> (Z.of_nat (length pairs) <= 2 ^ 52)%Z ->
  finite (machine_dot pairs) = true /\ Bits.value (machine_dot pairs) = dot64 (map pair_of_values pairs).
Proof.
intros F Few. destruct pairs as [| p0 rest]; [now split |]. set (pairs := p0 :: rest) in *.
rewrite Forall_forall in F. unfold machine_dot, dot64. rewrite !sum_is_of_fixed_tree.
rewrite <- machine_sum_is_evaluated, <- sum64_is_evaluated.
set (bits := map machine_product pairs).
assert (some : bits <> []) by discriminate.
destruct (machine_sum_is_sum64 256 (fixed_tree positive_zero bits)) as [V Fi].
- lia.
- intros z Hz. apply (Permutation_in _ (leaves_of_fixed_tree positive_zero bits some)), in_app_or in Hz as [Hz | Hz].
  + apply in_map_iff in Hz as (p & <- & Hp). destruct (F p Hp) as [F1 F2].
    destruct (products_on_bits_are_exact _ _ F1 F2) as [Fp Vp]. split; [exact Fp |].
    unfold machine_product. rewrite Vp. apply product_bound.
  + apply repeat_spec in Hz as ->. split; [reflexivity |]. change (Bits.value positive_zero) with 0.
    rewrite Rabs_R0. auto.
- pose proof (leaves_number positive_zero bits some) as L. unfold bits in L at 2. rewrite map_length in L.
  assert (C : Z.of_nat chunk_size = 4096%Z) by (unfold chunk_size; rewrite Nat2Z.inj_pow; reflexivity).
  assert (T : (2 ^ 53 = 2 ^ 52 + 2 ^ 52)%Z) by reflexivity.
  assert (T' : (4096 <= 2 ^ 52)%Z) by (apply Z.leb_le; reflexivity). lia.
- split; [exact Fi |]. rewrite V.
  transitivity (sum64 id (map_tree Bits.value (fixed_tree positive_zero bits))); [now rewrite sum64_map |].
  rewrite fixed_tree_map. do 2 f_equal. unfold bits. rewrite !map_map. apply map_ext_in. intros p Hp.
  destruct (F p Hp) as [F1 F2]. destruct (products_on_bits_are_exact _ _ F1 F2) as [_ Vp].
  unfold machine_product, product64, pair_of_values; simpl. rewrite Vp. symmetry.
  apply product_is_exact; exact (proj1 (value_is_number F32 _)).
Qed.

Theorem zeros_add_nothing xs n : Forall (has_format F64) xs ->
  tree_sum add_R64 0 (xs ++ repeat 0 n) = tree_sum add_R64 0 xs.
Proof.
apply zeros_change_nothing.
- apply has_format_0.
- intros. apply RN_has_format.
- intros x H. unfold add_R64. rewrite Rplus_0_r. now apply RN_number.
Qed.

Theorem dots_are_symmetric pairs : dot64 (map swapped pairs) = dot64 pairs.
Proof.
unfold dot64. f_equal. rewrite map_map. apply map_ext. intros [x y]. unfold product64; simpl. now rewrite Rmult_comm.
Qed.
