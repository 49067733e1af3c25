(** How many numbers of which dtypes and binades add exactly. *)

From Coq Require Import ZArith Reals Lia Lra List Permutation.
From Flocq Require Import Core.Core.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode.
From MergeAlgebra.Lemmas Require Import FloatsNumbers FloatsSums.
Import ListNotations.
Open Scope R_scope.

Lemma sum_of_at_most {A} (f : A -> R) (xs : list A) b : (forall x, In x xs -> f x <= b) -> sum_of f xs <= INR (length xs) * b.
Proof.
intros H. induction xs as [| x xs IH]; [unfold sum_of; simpl; lra |].
rewrite sum_of_cons. cbn [length]. rewrite S_INR. pose proof (H x (or_introl eq_refl)).
assert (sum_of f xs <= INR (length xs) * b) by (apply IH; intros; apply H; now right). lra.
Qed.

Lemma sum_of_below {A} (f : A -> R) (xs : list A) b : xs <> [] -> (forall x, In x xs -> f x < b) ->
  sum_of f xs < INR (length xs) * b.
Proof.
intros N H. destruct xs as [| x xs]; [now destruct N |].
rewrite sum_of_cons. cbn [length]. rewrite S_INR. pose proof (H x (or_introl eq_refl)).
assert (sum_of f xs <= INR (length xs) * b) by (apply sum_of_at_most; intros; apply Rlt_le, H; now right). lra.
Qed.

Lemma INR_le_IZR n z : (Z.of_nat n <= z)%Z -> INR n <= IZR z.
Proof. intros H. rewrite INR_IZR_INZ. now apply IZR_le. Qed.

Lemma between_below a b v : between a b v -> Rabs v < 2^b.
Proof. intros [-> | [_ H]]; [rewrite Rabs_R0; auto | exact H]. Qed.

Lemma between_grid d a b v : v <> 0 -> between a b v ->
  (a + 1 - precision d <= cexp radix2 (FLT_exp (least_exponent d) (precision d)) v)%Z.
Proof.
intros N [-> | [H _]]; [now destruct N |].
assert (a < mag radix2 v)%Z by now apply mag_gt_bpow.
unfold cexp, FLT_exp. lia.
Qed.

Lemma binades_bound n a b k : INR n * 2^(b - a) <= 2^k -> INR n * 2^b <= 2^(k + a).
Proof.
intros H. rewrite (bpow_plus radix2 k a). replace b with (b - a + a)%Z at 1 by lia. rewrite (bpow_plus radix2 (b - a) a).
rewrite <- Rmult_assoc. apply Rmult_le_compat_r; [auto | exact H].
Qed.

Theorem fp32_binades vs a b :
  Forall (between a b) vs -> INR (length vs) * 2^(b - a) <= 2^30 -> certified vs.
Proof.
intros B H v Hv N. rewrite Forall_forall in B.
apply Rlt_le_trans with (INR (length vs) * 2^b).
- apply sum_of_below; [now intros -> |]. intros x Hx. now apply (between_below a), B.
- apply binades_bound in H. rewrite <- bpow_plus. eapply Rle_trans; [exact H | apply bpow_le].
  pose proof (between_grid F32 a b v N (B v Hv)) as G. fold (grid_exponent v) in G.
  change (precision F32) with 24%Z in G. lia.
Qed.

(** Exact though not certified: on a grid of their own dtype. *)
Lemma on_their_grid_exact e (t s : tree R) bound :
  (-1074 <= e)%Z -> (forall v, In v (leaves t) -> on_grid e v /\ Rabs v <= bound) ->
  INR (length (leaves t)) * bound <= 2^(53 + e) -> part_of s t -> sum64 id s = sum (leaves s).
Proof.
intros He H B P. apply (grid_sums_are_exact e t s); [exact He | | | exact P].
- apply Forall_forall. intros v Hv. now apply H.
- rewrite <- bpow_plus. eapply Rle_trans; [| exact B]. apply sum_of_at_most. intros v Hv. now apply H.
Qed.

Lemma greatest_fp16 v : is_number F16 v -> Rabs v <= 65504.
Proof.
intros [F B]. change (2^(most_exponent F16)) with 65536 in B.
destruct (Rle_or_lt (2^15) (Rabs v)) as [H | H]; [| change (2^15) with 32768 in H; lra].
assert (N : v <> 0) by (intros ->; rewrite Rabs_R0 in H; pose proof (two_pos 15); lra).
assert (M : mag radix2 v = 16%Z :> Z) by (apply mag_unique; split; [exact H | exact B]).
destruct (on_grid_cexp F16 v F) as [m E]. unfold cexp in E. rewrite M in E.
change (2^(FLT_exp (least_exponent F16) (precision F16) 16)) with 32 in E.
rewrite E in B |- *. rewrite Rabs_mult, (Rabs_pos_eq 32) in * by lra. rewrite <- abs_IZR in *.
assert (IZR (Z.abs m) < IZR 2048) by (change (IZR 2048) with 2048; lra). apply lt_IZR in H0.
assert (IZR (Z.abs m) <= IZR 2047) by (apply IZR_le; lia). change (IZR 2047) with 2047 in *. lra.
Qed.

Theorem fp16_sums_are_exact t s :
  all_numbers F16 (leaves t) -> (Z.of_nat (length (leaves t)) <= 8196)%Z -> part_of s t -> sum64 id s = sum (leaves s).
Proof.
intros N Few. apply (on_their_grid_exact (-24) t s 65504); [lia | |].
- intros v Hv. unfold all_numbers in N. rewrite Forall_forall in N. specialize (N v Hv). split.
  + apply (on_least_grid F16), N.
  + now apply greatest_fp16.
- apply INR_le_IZR in Few. change (2^(53 + -24)) with 536870912. lra.
Qed.

Theorem fp16_differences_are_exact (t : tree (R * R)) s :
  (forall x y, In (x, y) (leaves t) -> is_number F16 x /\ is_number F16 y) ->
  (Z.of_nat (length (leaves t)) <= 4098)%Z -> part_of s t ->
  let tau p := RN32 (fst p - snd p) in sum64 tau s = sum_of tau (leaves s).
Proof.
intros N Few P tau.
assert (G : forall p, In p (leaves t) -> on_grid (-24) (tau p) /\ Rabs (tau p) <= 131008).
{ intros [x y] H. destruct (N x y H) as [Nx Ny]. split.
  - apply on_grid_RN; [| now compute]. simpl. apply on_grid_minus; apply (on_least_grid F16); [apply Nx | apply Ny].
  - unfold tau; simpl fst; simpl snd. rewrite <- RN_abs. apply RN_at_most.
    + apply (format_of_grid F32 6); [exists 2047%Z; change (2^6) with 64; lra | now compute |].
      rewrite Rabs_pos_eq by lra. change (2^(precision F32 + 6)) with 1073741824. lra.
    + pose proof (greatest_fp16 x Nx). pose proof (greatest_fp16 y Ny).
      unfold Rminus. eapply Rle_trans; [apply Rabs_triang |]. rewrite Rabs_Ropp. lra. }
apply (grid_sum_is_exact tau (-24)); [lia | |].
- intros p Hp. apply G. now apply (part_of_leaves s t).
- eapply Rle_trans; [apply (part_of_sum (fun p => Rabs (tau p)) s t (fun _ => Rabs_pos _) P) |].
  eapply Rle_trans; [apply (sum_of_at_most _ _ 131008); intros p Hp; now apply G |].
  apply INR_le_IZR in Few. change (2^(53 + -24)) with 536870912. lra.
Qed.

Theorem bf16_binades t s a b :
  all_numbers BF16 (leaves t) -> Forall (between a b) (leaves t) ->
  INR (length (leaves t)) * 2^(b - a) <= 2^46 -> part_of s t -> sum64 id s = sum (leaves s).
Proof.
intros N B H. unfold all_numbers in N. rewrite Forall_forall in N, B.
apply (on_their_grid_exact (Z.max (a - 7) (-133)) t s (2^b)); [lia | |].
- intros v Hv. split; [| now apply Rlt_le, (between_below a), B].
  destruct (Req_dec v 0) as [-> | Z]; [apply on_grid_0 |].
  apply (on_grid_of_format BF16); [now apply N |].
  pose proof (between_grid BF16 a b v Z (B v Hv)) as G. change (precision BF16) with 8%Z in *.
  unfold cexp, FLT_exp in *. change (least_exponent BF16) with (-133)%Z in *. change (precision BF16) with 8%Z in *. lia.
- apply binades_bound in H. eapply Rle_trans; [exact H | apply bpow_le; lia].
Qed.
